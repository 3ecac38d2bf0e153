#include "engine/process/child_process.hpp"

#include <filesystem>
#include <fstream>
#include <future>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

namespace hearth::engine {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ChildProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/hearth-child-XXXXXX";
    folder_ = ::mkdtemp(pattern);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<ChildProcess> shell(const std::string& script) {
    ChildSpec spec{.program = "/bin/sh", .arguments = {"-c", script}, .log_file = folder_ + "/log"};
    spec.environment = {{"HEARTH_GREETING", "hello"}};
    spec.withheld = {"HEARTH_"};
    spec.log_bytes = 1000;
    return host_.start(spec, [this](const ChildExit& exit) { exit_.set_value(exit); });
  }
  ChildExit wait() {
    auto future = exit_.get_future();
    EXPECT_EQ(future.wait_for(10s), std::future_status::ready);
    return future.get();
  }

  std::string folder_;
  std::promise<ChildExit> exit_;
  ChildHost host_;
};

TEST_F(ChildProcessTest, ReportsCodeOutputAndEnvironment) {
  ::setenv("HEARTH_SECRET", "secret", 1);
  const auto child = shell("echo $HEARTH_GREETING$HEARTH_SECRET; echo oops >&2; exit 3");
  ::unsetenv("HEARTH_SECRET");
  const ChildExit exit = wait();
  EXPECT_EQ(exit.code, 3);
  EXPECT_EQ(exit.describe(), "exited with code 3");
  EXPECT_FALSE(child->running());
  EXPECT_EQ(child->last_lines(), "hello\noops\n");
  std::ifstream log(folder_ + "/log");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(log), {}), "hello\noops\n");
}

TEST_F(ChildProcessTest, ASignalEndsTheWholeGroup) {
  const auto child = shell("sleep 100 & sleep 100; wait");
  EXPECT_TRUE(child->running());
  EXPECT_EQ(::getpgid(child->pid()), child->pid());
  child->send(SIGTERM);
  EXPECT_EQ(wait().signal, SIGTERM);
  child->send(SIGTERM);  // nobody is hit
}

TEST_F(ChildProcessTest, TheLogIsBounded) {
  const auto child = shell("i=0; while [ $i -lt 200 ]; do echo line number $i; sleep 0; i=$((i+1)); done");
  EXPECT_EQ(wait().code, 0);
  // One read of the pipe may exceed the bound, but never adds to what was there.
  EXPECT_LE(std::filesystem::file_size(folder_ + "/log"), 8192u);
  EXPECT_THAT(child->last_lines(), HasSubstr("line number 199\n"));
  EXPECT_THAT(child->last_lines(), testing::Not(HasSubstr("line number 1\n")));
}

TEST_F(ChildProcessTest, OpenSocketsOfOursAreNotInherited) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);  // without CLOEXEC
  const auto child = shell("sleep 100");
  ::close(ends[0]);
  char byte = 0;
  EXPECT_EQ(::recv(ends[1], &byte, 1, MSG_DONTWAIT), 0);  // the end, though the child lives
  EXPECT_TRUE(child->running());
  ::close(ends[1]);
  child->send(SIGKILL);
  EXPECT_EQ(wait().signal, SIGKILL);
}

TEST_F(ChildProcessTest, AMissingProgramIsAnErrorThatNamesIt) {
  try {
    host_.start({.program = "/nowhere/engine", .log_file = folder_ + "/log"}, [](const ChildExit&) {});
    FAIL() << "started";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nowhere/engine: No such file"));
  }
}

TEST(ChildHostTest, KillsWhatStillRuns) {
  pid_t pid = 0;
  std::unique_ptr<ChildProcess> child;
  int exits = 0;
  {
    ChildHost host;
    child = host.start({.program = "/bin/sleep", .arguments = {"100"}, .log_file = "/dev/null"},
                       [&](const ChildExit& exit) {
                         ++exits;
                         EXPECT_EQ(exit.signal, SIGKILL);
                       });
    pid = child->pid();
  }
  EXPECT_EQ(exits, 1);
  EXPECT_EQ(::kill(pid, 0), -1);
}

// Gone, or dead and waiting for whoever inherited it.
bool is_dead(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return !(file >> number >> name >> state) || state == "Z";
}

TEST(ChildHostDeathTest, ChildrenDieWithUs) {
  const std::string note = "/tmp/hearth-child-" + std::to_string(::getpid());
  EXPECT_EXIT(
      {
        ChildHost host;
        const auto child =
            host.start({.program = "/bin/sleep", .arguments = {"100"}, .log_file = "/dev/null"},
                       [](const ChildExit&) {});
        std::ofstream(note) << child->pid();
        ::raise(SIGKILL);
      },
      testing::KilledBySignal(SIGKILL), "");
  pid_t pid = 0;
  std::ifstream(note) >> pid;
  std::filesystem::remove(note);
  ASSERT_GT(pid, 0);
  for (int i = 0; i < 300 && !is_dead(pid); ++i)
    std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(is_dead(pid));
}

}  // namespace
}  // namespace hearth::engine
