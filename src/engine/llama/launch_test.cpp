#include "engine/llama/launch.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <gmock/gmock.h>
#include <iterator>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

namespace hearth::engine {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

LlamaLaunch plain_launch() {
  return {.program = "/usr/bin/env",
          .socket_path = "/run/x.sock",
          .log_file = "/tmp/x.log",
          .spec = {.file = "/models/a.gguf", .context = 1024, .slots = 3, .threads = 1},
          .file = {},
          .capabilities = {Capability::chat}};
}

// The word behind `flag`.
std::string value_of(const ChildSpec& spec, std::string_view flag) {
  const auto at = std::ranges::find(spec.arguments, flag);
  return at == spec.arguments.end() || std::next(at) == spec.arguments.end() ? "" : *std::next(at);
}

TEST(LlamaLaunch, GivesEachSlotTheWholeContext) {
  const ChildSpec spec = make_child_spec(plain_launch());
  EXPECT_EQ(spec.program, "/usr/bin/env");
  EXPECT_EQ(spec.log_file, "/tmp/x.log");
  EXPECT_EQ(value_of(spec, "--model"), "/models/a.gguf");
  EXPECT_EQ(value_of(spec, "--host"), "/run/x.sock");
  EXPECT_EQ(value_of(spec, "--parallel"), "3");
  EXPECT_EQ(value_of(spec, "--ctx-size"), "3072");
  EXPECT_GT(std::stoi(value_of(spec, "--threads-http")), 3) << "short questions get through";
  for (const char* flag : {"--offline", "--no-webui", "--jinja", "--no-mmproj"})
    EXPECT_THAT(spec.arguments, Contains(flag));
  EXPECT_THAT(spec.arguments, Not(Contains("--embeddings")));
  EXPECT_THAT(spec.arguments, Not(Contains("--chat-template")));
}

TEST(LlamaLaunch, SleepsWhileItWaitsAndTakesNoMoreThreadsThanCores) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  for (const std::uint32_t asked : {0U, 1U, 100'000U}) {
    LlamaLaunch launch = plain_launch();
    launch.spec.threads = asked;
    launch.file.file_bytes = 1ULL << 30;
    const ChildSpec spec = make_child_spec(launch);
    const std::string threads = std::to_string(asked == 1 ? 1 : cores);
    EXPECT_EQ(value_of(spec, "--threads"), threads);
    EXPECT_EQ(value_of(spec, "--threads-batch"), threads);
    EXPECT_THAT(spec.environment, Contains(Pair("OMP_NUM_THREADS", threads)));
    EXPECT_THAT(spec.environment, Contains(Pair("OMP_WAIT_POLICY", "passive")));
  }
}

TEST(LlamaLaunch, WritesWithOneThreadWhereTheModelIsSmall) {
  LlamaLaunch launch = plain_launch();
  launch.file.file_bytes = 10ULL << 20;
  launch.spec.threads = 0;
  EXPECT_EQ(value_of(make_child_spec(launch), "--threads"), "1");
  EXPECT_EQ(value_of(make_child_spec(launch), "--threads-batch"),
            std::to_string(std::max(1U, std::thread::hardware_concurrency())));
  launch.spec.threads = 100'000;
  EXPECT_EQ(value_of(make_child_spec(launch), "--threads"),
            std::to_string(std::max(1U, std::thread::hardware_concurrency())))
      << "as many as were asked for";
}

TEST(LlamaLaunch, AddsWhatTheModelNeeds) {
  LlamaLaunch launch = plain_launch();
  launch.capabilities = {Capability::embedding};
  launch.spec.projector = "/models/p.gguf";
  launch.spec.chat_template = "{{ messages }}";
  launch.spec.arguments = {"--flash-attn", "on"};
  ChildSpec spec = make_child_spec(launch);
  EXPECT_THAT(spec.arguments, Contains("--embeddings"));
  EXPECT_EQ(value_of(spec, "--pooling"), "mean");
  EXPECT_EQ(value_of(spec, "--ubatch-size"), "1024") << "an input is read in one piece";
  EXPECT_EQ(value_of(spec, "--mmproj"), "/models/p.gguf");
  EXPECT_EQ(value_of(spec, "--chat-template"), "{{ messages }}");
  EXPECT_EQ(spec.arguments.back(), "on") << "the definition's own come last and win";
  launch.file.pooling = "cls";
  EXPECT_THAT(make_child_spec(launch).arguments, Not(Contains("--pooling"))) << "the file says";
}

TEST(LlamaLaunch, TheEngineInheritsNoSecrets) {
  constexpr std::string_view secret = "do-not-tell";
  const std::vector<std::string> names{"HEARTH_ADMIN_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY",
                                       "HF_TOKEN",         "LLAMA_API_KEY",  "OMP_WAIT_POLICY"};
  for (const std::string& name : names)
    ::setenv(name.c_str(), std::string(secret).c_str(), 1);
  char pattern[] = "/tmp/hearth-launch-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(pattern);
  LlamaLaunch launch = plain_launch();
  launch.log_file = folder / "log";
  ChildSpec spec = make_child_spec(launch);
  spec.arguments.clear();  // env without arguments prints what it was given
  ChildHost host;
  std::promise<ChildExit> ended;
  const auto child = host.start(spec, [&ended](const ChildExit& exit) { ended.set_value(exit); });
  auto exit = ended.get_future();
  ASSERT_EQ(exit.wait_for(10s), std::future_status::ready);
  for (const std::string& name : names)
    ::unsetenv(name.c_str());
  std::ifstream log(launch.log_file);
  const std::string printed(std::istreambuf_iterator<char>(log), {});
  std::filesystem::remove_all(folder);
  EXPECT_THAT(printed, Not(HasSubstr(secret)));
  EXPECT_THAT(printed, HasSubstr("OMP_WAIT_POLICY=passive"));
  EXPECT_THAT(printed, HasSubstr("PATH="));
}

}  // namespace
}  // namespace hearth::engine
