// Engines with the real llama-server on a tiny model. Needs HEARTH_LLAMA_SERVER (the program) and
// HEARTH_TINY_MODEL (a GGUF file); skipped without them.
#include <atomic>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "base/api_error.hpp"
#include "engine/engines.hpp"
#include "engine/llama/spec.hpp"
#include "engine/scripted_server.hpp"

namespace hearth::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class EnginesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* program = std::getenv("HEARTH_LLAMA_SERVER");
    const char* tiny = std::getenv("HEARTH_TINY_MODEL");
    if (!program || !tiny) GTEST_SKIP() << "HEARTH_LLAMA_SERVER or HEARTH_TINY_MODEL is not set";
    char pattern[] = "/tmp/hearth-engines-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    settings_ = {
        .programs = {{"llama", program}}, .run_directory = folder_, .stop_grace = 2s, .restart_delay = 50ms};
    file_ = tiny;
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  LlamaSpec small() const { return {.file = file_, .context = 256, .slots = 2, .threads = 1}; }
  // With one slot less: another engine.
  LlamaSpec smaller() const { return {.file = file_, .context = 256, .slots = 1, .threads = 1}; }
  Model model(std::string id) const { return model(std::move(id), small()); }
  static Model model(std::string id, LlamaSpec spec) {
    Model made;
    made.id = std::move(id);
    made.engine = make_llama_engine(std::move(spec));
    return made;
  }

  // `body(engines)` while the engines run; afterwards they are stopped.
  template <class Body>
  void with_engines(Body body) {
    async::Runtime runtime(1);
    async::BlockingPool blocking(2);
    Engines engines(blocking, settings_);
    runtime.run_until_complete([](Engines& table, Body& run) -> Task<void> {
      async::Scope scope(co_await boost::asio::this_coro::executor);
      scope.spawn("engines", table.run());
      std::exception_ptr failure;
      try {
        co_await async::with_deadline(30s, run(table));
      } catch (...) {
        failure = std::current_exception();
      }
      co_await table.stop();
      co_await scope.join();
      if (failure) std::rethrow_exception(failure);
    }(engines, body));
    EXPECT_TRUE(processes().empty()) << "a child outlived its engines";
  }

  // The engines that run in this test's folder.
  std::vector<pid_t> processes() const {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      std::ifstream file(entry.path() / "cmdline");
      const std::string line{std::istreambuf_iterator<char>(file), {}};
      if (line.find(folder_ + "/engine-") != std::string::npos) found.push_back(std::stoi(name));
    }
    return found;
  }

  std::string folder_;
  std::string file_;
  EngineSettings settings_;
};

// One for each call; it lives as long as the thread.
CallContext& call(std::chrono::milliseconds patience = 20s) {
  thread_local std::deque<CallContext> calls;
  return calls.emplace_back("req_test", std::chrono::steady_clock::now() + patience);
}

json::object question(int tokens) {
  auto request =
      json::parse(R"({"messages":[{"role":"user","content":"Tell me a story"}]})").value().as_object();
  request["max_tokens"] = tokens;
  return request;
}

// Whether it says something and ends it.
Task<bool> answers(Backend& backend, const json::object& request) {
  CallContext& context = call();
  const auto deltas = co_await backend.chat()->chat(request, Delivery::whole, context);
  std::string text;
  bool finished = false;
  while (const Delta* delta = co_await deltas->next()) {
    text += delta->text;
    finished = finished || delta->finish;
  }
  co_return !text.empty() && finished && deltas->usage().completion > 0;
}

EngineStatus status_of(const Engines& engines, std::string_view model) {
  for (auto& each : engines.status()) {
    if (each.model == model) return each;
  }
  return {};
}

// Until the model's state is `state`; at most five seconds.
Task<bool> reaches(const Engines& engines, std::string_view model, std::string_view state) {
  for (int i = 0; i < 500; ++i) {
    if (status_of(engines, model).state == state) co_return true;
    co_await async::sleep_for(10ms);
  }
  co_return false;
}

// The message of the ApiError that acquire ends with; empty when there is none.
Task<std::string> refusal_of(Engines& engines, const Model& model, std::chrono::milliseconds patience = 20s) {
  try {
    co_await engines.acquire(model, call(patience));
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 503);
    EXPECT_TRUE(error.retry_after().has_value());
    co_return error.message();
  }
  co_return "";
}

TEST_F(EnginesTest, OneLoadServesAllWhoWait) {
  with_engines([&](Engines& engines) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    int answered = 0;
    for (int i = 0; i < 4; ++i) {
      scope.spawn("ask", [](Engines& table, Model wanted, int& count) -> Task<void> {
        const auto lease = co_await table.acquire(wanted, call());
        const auto request = question(4);
        if (co_await answers(lease->backend(), request)) ++count;
      }(engines, model("tiny"), answered));
    }
    co_await scope.join();
    EXPECT_EQ(answered, 4);
    EXPECT_EQ(processes().size(), 1u);
    EXPECT_EQ(status_of(engines, "tiny").state, "ready");
    EXPECT_EQ(status_of(engines, "tiny").leases, 0u);
    EXPECT_GT(status_of(engines, "tiny").memory_bytes, 0u);
  });
}

TEST_F(EnginesTest, ServesEveryLoopOfTheRuntime) {
  async::Runtime runtime(3);
  async::BlockingPool blocking(2);
  Engines engines(blocking, settings_);
  runtime.start();
  std::atomic<int> answered{0};
  std::atomic<int> left{12};
  for (int i = 0; i < 12; ++i) {
    boost::asio::co_spawn(
        runtime.next_executor(),
        [](Engines& table, Model wanted, std::atomic<int>& count) -> Task<void> {
          const auto lease = co_await table.acquire(wanted, call());
          const auto request = question(2);
          if (co_await answers(lease->backend(), request)) ++count;
        }(engines, model(i % 2 == 0 ? "a" : "b"), answered),
        [&left](std::exception_ptr) { --left; });
  }
  runtime.run_until_complete([](Engines& table, std::atomic<int>& rest) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    scope.spawn("engines", table.run());
    for (int i = 0; i < 2000 && rest > 0; ++i)
      co_await async::sleep_for(10ms);
    co_await table.stop();
    co_await scope.join();
  }(engines, left));
  EXPECT_EQ(answered, 12);
  EXPECT_TRUE(processes().empty());
}

TEST_F(EnginesTest, AKilledEngineFailsItsRequestAndComesBack) {
  with_engines([&](Engines& engines) -> Task<void> {
    const auto other = co_await engines.acquire(model("other"), call());
    auto lease = co_await engines.acquire(model("tiny"), call());
    const auto running = processes();
    EXPECT_EQ(running.size(), 2u);
    const pid_t victim = *std::ranges::max_element(running);  // the one that was started last
    ::kill(victim, SIGSTOP);  // so that it cannot have answered before it dies
    async::Scope scope(co_await boost::asio::this_coro::executor);
    int status = 0;
    scope.spawn("ask", [](Backend& backend, int& result) -> Task<void> {
      const auto request = question(20);
      try {
        co_await backend.chat()->chat(request, Delivery::whole, call());
      } catch (const ApiError& error) {
        result = error.status();
      }
    }(lease->backend(), status));
    co_await async::sleep_for(50ms);
    ::kill(victim, SIGKILL);
    co_await scope.join();
    EXPECT_EQ(status, 503);
    lease = nullptr;
    // Restarted without being asked; the stream may end before the process is known to have.
    for (int i = 0; i < 500 && status_of(engines, "tiny").restarts == 0; ++i)
      co_await async::sleep_for(10ms);
    EXPECT_TRUE(co_await reaches(engines, "tiny", "ready"));
    EXPECT_EQ(status_of(engines, "tiny").restarts, 1u);
    lease = co_await engines.acquire(model("tiny"), call());
    const auto again = question(4);
    EXPECT_TRUE(co_await answers(lease->backend(), again));
    EXPECT_TRUE(co_await answers(other->backend(), again));
    EXPECT_EQ(status_of(engines, "other").restarts, 0u);
  });
}

TEST_F(EnginesTest, BacksOffAfterACrash) {
  settings_.restart_delay = 10s;
  with_engines([&](Engines& engines) -> Task<void> {
    co_await engines.acquire(model("tiny"), call());
    ::kill(processes().at(0), SIGKILL);
    EXPECT_TRUE(co_await reaches(engines, "tiny", "backing_off"));
    EXPECT_THAT(co_await refusal_of(engines, model("tiny")), HasSubstr("being restarted"));
  });
}

TEST_F(EnginesTest, TheLeastRecentlyUsedMakesRoom) {
  settings_.memory_budget = model("a").engine->read_facts().memory_bytes * 5 / 2;
  with_engines([&](Engines& engines) -> Task<void> {
    co_await engines.acquire(model("a"), call());
    co_await engines.acquire(model("b"), call());
    co_await engines.acquire(model("a"), call());
    auto third = co_await engines.acquire(model("c"), call());
    EXPECT_EQ(status_of(engines, "a").state, "ready");
    EXPECT_EQ(status_of(engines, "b").state, "unloaded");
    EXPECT_EQ(processes().size(), 2u);
    // Leases pin: with both in use there is no room.
    auto first = co_await engines.acquire(model("a"), call());
    EXPECT_THAT(co_await refusal_of(engines, model("b"), 300ms), HasSubstr("in time"));
    EXPECT_EQ(status_of(engines, "a").state, "ready");
    first = nullptr;
    const auto second = co_await engines.acquire(model("b"), call());
    EXPECT_EQ(status_of(engines, "a").state, "unloaded");
    EXPECT_EQ(status_of(engines, "c").state, "ready");
  });
}

// A lease, for a moment. `granted` is set once it is there.
Task<void> use(Engines& engines, Model wanted, std::atomic<bool>& granted) {
  const auto lease = co_await engines.acquire(wanted, call());
  granted = true;
  co_await async::sleep_for(10ms);
}

TEST_F(EnginesTest, WhoWaitedForALoadGetsItBeforeAnotherModelNeedsTheRoom) {
  settings_.memory_budget = model("a").engine->read_facts().memory_bytes * 3 / 2;
  async::Runtime runtime(2);
  async::BlockingPool blocking(2);
  Engines engines(blocking, settings_);
  std::atomic<bool> granted{false};
  const auto slow = runtime.executor(1);
  runtime.start();
  boost::asio::co_spawn(slow, use(engines, model("a"), granted), boost::asio::detached);
  runtime.run_until_complete(
      [](Engines& table, Model second, async::Executor executor, std::atomic<bool>& first) -> Task<void> {
        async::Scope scope(co_await boost::asio::this_coro::executor);
        scope.spawn("engines", table.run());
        for (int i = 0; i < 500 && status_of(table, "a").memory_bytes == 0; ++i)
          co_await async::sleep_for(1ms);
        EXPECT_EQ(status_of(table, "a").state, "loading");
        // The waiter's thread is busy while its engine becomes ready.
        boost::asio::post(executor, [&table] {
          for (int i = 0; i < 500 && status_of(table, "a").state == "loading"; ++i)
            std::this_thread::sleep_for(10ms);
          std::this_thread::sleep_for(300ms);
        });
        co_await table.acquire(second, call());
        EXPECT_TRUE(first);
        co_await table.stop();
        co_await scope.join();
      }(engines, model("b"), slow, granted));
}

// The status of the ApiError that acquire ends with; 0 when there is none.
Task<void> note_refusal(Engines& engines, Model wanted, int& status) {
  try {
    co_await engines.acquire(wanted, call());
  } catch (const ApiError& error) {
    status = error.status();
  }
}

TEST_F(EnginesTest, AModelThatIsForgottenOrRedefinedWhileItLoadsIsGivenUp) {
  const std::string program = folder_ + "/never-healthy";
  std::ofstream(program) << "#!/bin/sh\nsleep 100\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  settings_.programs = {{"llama", program}};
  with_engines([&](Engines& engines) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    int forgotten = 0;
    scope.spawn("ask", note_refusal(engines, model("tiny"), forgotten));
    for (int i = 0; i < 500 && processes().empty(); ++i)
      co_await async::sleep_for(10ms);
    EXPECT_GT(status_of(engines, "tiny").memory_bytes, 0u);
    engines.forget("tiny");
    co_await scope.join();
    EXPECT_EQ(forgotten, 404);

    int redefined = 0;
    int newer = 0;
    const Model changed = model("tiny", smaller());
    scope.spawn("ask", note_refusal(engines, model("tiny"), redefined));
    EXPECT_TRUE(co_await reaches(engines, "tiny", "loading"));
    scope.spawn("ask", note_refusal(engines, changed, newer));
    for (int i = 0; i < 500 && redefined == 0; ++i)
      co_await async::sleep_for(10ms);
    EXPECT_EQ(redefined, 503);
    EXPECT_EQ(newer, 0);  // still waits
    engines.forget("tiny");
    co_await scope.join();
    EXPECT_EQ(newer, 404);
    for (int i = 0; i < 500 && !(engines.status().empty() && processes().empty()); ++i)
      co_await async::sleep_for(10ms);
    EXPECT_TRUE(engines.status().empty());
    EXPECT_TRUE(processes().empty());
  });
}

TEST_F(EnginesTest, IdleEnginesAreUnloaded) {
  settings_.idle_unload = 150ms;
  with_engines([&](Engines& engines) -> Task<void> {
    auto lease = co_await engines.acquire(model("tiny"), call());
    co_await async::sleep_for(300ms);
    EXPECT_EQ(status_of(engines, "tiny").state, "ready");  // in use
    lease = nullptr;
    EXPECT_TRUE(co_await reaches(engines, "tiny", "unloaded"));
    EXPECT_TRUE(processes().empty());
    EXPECT_EQ(status_of(engines, "tiny").memory_bytes, 0u);
    co_await engines.acquire(model("tiny"), call());
    EXPECT_EQ(processes().size(), 1u);
  });
}

TEST_F(EnginesTest, AChangedOrForgottenModelEndsItsEngine) {
  with_engines([&](Engines& engines) -> Task<void> {
    auto lease = co_await engines.acquire(model("tiny"), call());
    const pid_t first = processes().at(0);
    const Model changed = model("tiny", smaller());
    co_await engines.acquire(changed, call());
    EXPECT_EQ(processes().size(), 2u);  // the old one still has its lease
    lease = nullptr;
    for (int i = 0; i < 300 && processes().size() > 1; ++i)
      co_await async::sleep_for(10ms);
    EXPECT_NE(processes().at(0), first);
    engines.forget("tiny");
    for (int i = 0; i < 300 && !engines.status().empty(); ++i)
      co_await async::sleep_for(10ms);
    EXPECT_TRUE(engines.status().empty());
    EXPECT_TRUE(processes().empty());
  });
}

TEST_F(EnginesTest, WhatCannotBeLoadedSaysSo) {
  std::ofstream(folder_ + "/broken.gguf") << "GGUF but not really, though long enough for a header";
  with_engines([&](Engines& engines) -> Task<void> {
    const Model missing = model("missing", {.file = "/nowhere/m.gguf"});
    EXPECT_THAT(co_await refusal_of(engines, missing), HasSubstr("could not be loaded"));
    const Model broken = model("broken", {.file = folder_ + "/broken.gguf"});
    EXPECT_THAT(co_await refusal_of(engines, broken), HasSubstr("could not be loaded"));
    LlamaSpec odd = small();
    odd.arguments = {"--no-such-flag"};
    const Model flags = model("flags", odd);
    EXPECT_THAT(co_await refusal_of(engines, flags), HasSubstr("could not be loaded"));
    Model huge = model("huge");
    huge.memory_bytes = 1ULL << 60;
    EXPECT_THAT(co_await refusal_of(engines, huge), HasSubstr("more memory"));
    // The others are not concerned.
    co_await engines.acquire(model("tiny"), call());
  });
}

TEST_F(EnginesTest, StoppingRefusesNewRequestsAndLetsRunningOnesFinish) {
  async::Runtime runtime(1);
  async::BlockingPool blocking(2);
  Engines engines(blocking, settings_);
  runtime.run_until_complete([](Engines& table, const Model wanted) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    scope.spawn("engines", table.run());
    auto lease = co_await table.acquire(wanted, call());
    scope.spawn("stop", table.stop());
    co_await async::sleep_for(50ms);
    EXPECT_THAT(co_await refusal_of(table, wanted), HasSubstr("shutting down"));
    const auto request = question(4);
    EXPECT_TRUE(co_await answers(lease->backend(), request));
    lease = nullptr;
    co_await scope.join();
  }(engines, model("tiny")));
  EXPECT_TRUE(processes().empty());
}

TEST_F(EnginesTest, AHurriedStopDoesNotWaitForRequests) {
  settings_.stop_grace = 60s;
  async::Runtime runtime(1);
  async::BlockingPool blocking(2);
  Engines engines(blocking, settings_);
  const auto begin = std::chrono::steady_clock::now();
  runtime.run_until_complete([](Engines& table, const Model wanted) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    scope.spawn("engines", table.run());
    const auto lease = co_await table.acquire(wanted, call());
    scope.spawn("stop", table.stop());
    co_await async::sleep_for(50ms);
    table.hurry();
    co_await scope.join();
  }(engines, model("tiny")));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
  EXPECT_TRUE(processes().empty());
}

// A socket that listens at `path`.
int listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(socket, 1), 0);
  return socket;
}

TEST(EnginesWithoutProgram, RemoveTheSocketsOfServersThatAreGone) {
  char pattern[] = "/tmp/hearth-engines-XXXXXX";
  const std::string folder = ::mkdtemp(pattern);
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(gone, nullptr, 0), gone);
  const auto path = [&](pid_t owner, int number) {
    return folder + "/engine-" + std::to_string(owner) + "-" + std::to_string(number) + ".sock";
  };
  ::close(listen_at(path(gone, 1)));
  ::close(listen_at(path(::getpid(), 1)));
  ::close(listen_at(path(::getppid(), 1)));      // its server lives: its engine may be about to listen
  const int answers = listen_at(path(gone, 2));  // as from another container, whose ids mean nothing here
  std::ofstream(folder + "/engine-tiny.log") << "kept";

  async::BlockingPool blocking(1);
  const Engines engines(blocking, {.run_directory = folder});
  EXPECT_FALSE(std::filesystem::exists(path(gone, 1)));
  EXPECT_FALSE(std::filesystem::exists(path(::getpid(), 1)));
  EXPECT_TRUE(std::filesystem::exists(path(::getppid(), 1)));
  EXPECT_TRUE(std::filesystem::exists(path(gone, 2)));
  EXPECT_TRUE(std::filesystem::exists(folder + "/engine-tiny.log"));
  ::close(answers);
  std::filesystem::remove_all(folder);
}

TEST(EnginesWithoutProgram, SayThatThereIsNone) {
  async::Runtime runtime(1);
  async::BlockingPool blocking(1);
  Engines engines(blocking, {});
  runtime.run_until_complete([](Engines& table) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    scope.spawn("engines", table.run());
    Model local;
    local.id = "local";
    local.engine = make_llama_engine({.file = "/nowhere.gguf"});
    EXPECT_THAT(co_await refusal_of(table, local), HasSubstr("no engine for local models"));
    co_await table.stop();
    co_await scope.join();
  }(engines));
}

}  // namespace
}  // namespace hearth::engine
