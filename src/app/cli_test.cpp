#include "app/cli.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "app/config_print.hpp"

namespace hearth::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Outcome {
  int status;
  std::string output;
  std::string errors;
};

class CliTest : public ::testing::Test {
 protected:
  CliTest() {
    std::string name = (std::filesystem::temp_directory_path() / "hearth-cli-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    data_ = directory_ + "/data";
  }
  ~CliTest() override { std::filesystem::remove_all(directory_); }

  static Outcome run(std::vector<std::string> arguments) {
    std::vector<const char*> pointers{"hearth"};
    for (const std::string& argument : arguments)
      pointers.push_back(argument.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int status = run_cli(static_cast<int>(pointers.size()), pointers.data());
    std::fflush(stdout);
    return {status, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
  }
  Outcome models(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "models");
    arguments.insert(arguments.end(), {"--data", data_});
    return run(std::move(arguments));
  }

  std::string directory_;
  std::string data_;
};

TEST_F(CliTest, VersionHelpAndReference) {
  EXPECT_THAT(run({"--version"}).output, HasSubstr("hearth "));
  EXPECT_EQ(run({"version"}).output, run({"--version"}).output);
  const Outcome help = run({"serve", "--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.output, HasSubstr("--bootstrap"));
  EXPECT_THAT(run({"openapi"}).output, HasSubstr("/v1/chat/completions"));
  EXPECT_EQ(run({"config", "--markdown"}).output, render_config_reference());
}

TEST_F(CliTest, WrongUsageIsOneLineAndStatusTwo) {
  const std::vector<std::vector<std::string>> wrong{
      {},
      {"srve"},
      {"config", "--nonsense"},
      {"config", "--set", "server.idle_time"},
      {"config", "--set", "server.idle_time=soon"},
      {"config", "--log-format", "xml"},
      {"config", "--config", directory_ + "/none.toml"},
      {"models", "show"},
      {"models", "alias", "x", "--data", data_},
      {"models", "pull", "ftp://x", "--data", data_},
      {"models", "add", "x", "--slots", "many", "--data", data_}};
  for (const auto& arguments : wrong) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 2) << ::testing::PrintToString(arguments);
    EXPECT_EQ(std::ranges::count(outcome.errors, '\n'), 1) << outcome.errors;
    EXPECT_THAT(outcome.errors, ::testing::StartsWith("hearth: "));
    EXPECT_EQ(outcome.output, "");
  }
}

TEST_F(CliTest, NamedFlagsAreSettings) {
  const std::string output = run({"config", "--data", data_, "--listen", "127.0.0.1:1", "--listen", "[::1]:2",
                                  "--bootstrap", "/b.json", "--log-format", "json"})
                                 .output;
  EXPECT_THAT(output, HasSubstr("data = \"" + data_ + "\""));
  EXPECT_THAT(output, HasSubstr(R"(server.listen = ["127.0.0.1:1", "[::1]:2"])"));
  EXPECT_THAT(output, HasSubstr("# flag --listen"));
  EXPECT_THAT(output, HasSubstr("bootstrap = \"/b.json\""));
  EXPECT_THAT(output, HasSubstr("log.format = \"json\""));
}

TEST_F(CliTest, ReadingLeavesNothingBehind) {
  EXPECT_EQ(models({"list"}).status, 0);
  EXPECT_EQ(models({"show", "tiny"}).status, 1);
  EXPECT_EQ(models({"remove", "tiny"}).status, 1);
  EXPECT_FALSE(std::filesystem::exists(data_));
}

TEST_F(CliTest, TheLifeOfARegisteredModel) {
  const Outcome added =
      models({"add", "big-4.1", "--base-urls", "http://127.0.0.1:9/v1,http://127.0.0.1:10/v1", "--api-key",
              "sk-hidden", "--aliases", "gpt-4.1,gpt-4o"});
  EXPECT_EQ(added.status, 0) << added.errors;
  EXPECT_EQ(std::filesystem::status(data_).permissions(), std::filesystem::perms::owner_all);

  const std::string listed = models({"list"}).output;
  EXPECT_THAT(listed, ::testing::ContainsRegex("big-4.1 +chat.* registered +http://127.0.0.1:9/v1 "));
  EXPECT_THAT(listed, ::testing::ContainsRegex("gpt-4o +alias +registered +-> big-4.1"));
  const std::string shown = models({"show", "gpt-4o"}).output;
  EXPECT_THAT(shown, HasSubstr("http://127.0.0.1:10/v1"));
  EXPECT_THAT(shown, Not(HasSubstr("sk-hidden")));
  EXPECT_THAT(models({"show", "bgi-4.1"}).errors, HasSubstr("did you mean big-4.1?"));

  EXPECT_THAT(models({"add", "big-4.1", "--base-urls", "http://h/v1"}).errors, HasSubstr("--replace"));
  EXPECT_EQ(models({"add", "big-4.1", "--base-urls", "http://h/v1", "--replace"}).status, 0);
  EXPECT_THAT(models({"show", "big-4.1"}).output, HasSubstr("http://h/v1"));
  EXPECT_THAT(models({"add", "gpt-4o", "--base-urls", "http://h/v1"}).errors, HasSubstr("there is an alias"));

  EXPECT_EQ(models({"remove", "big-4.1"}).status, 0);
  EXPECT_EQ(models({"alias"}).output, "");
  EXPECT_THAT(models({"remove", "big-4.1"}).errors, HasSubstr("no registered model big-4.1"));
}

TEST_F(CliTest, Aliases) {
  ASSERT_EQ(models({"add", "m", "--base-urls", "http://h/v1"}).status, 0);
  EXPECT_EQ(models({"alias", "a", "m"}).output, "a -> m\n");
  EXPECT_EQ(models({"alias", "b", "a"}).status, 0);
  EXPECT_THAT(models({"alias", "a", "b"}).errors, HasSubstr("a would refer to itself"));
  EXPECT_THAT(models({"alias", "a", "a"}).errors, HasSubstr("a would refer to itself"));
  EXPECT_THAT(models({"alias", "m", "a"}).errors, HasSubstr("a model has the name m"));
  EXPECT_THAT(models({"alias", "c", "none"}).errors, HasSubstr("no model none"));
  EXPECT_THAT(models({"alias", "white space", "m"}).errors, HasSubstr("is not a model name"));
  EXPECT_EQ(models({"alias"}).output, "a -> m\nb -> a\n");
  EXPECT_EQ(models({"alias", "b", "--remove"}).status, 0);
  EXPECT_EQ(models({"alias", "b", "--remove"}).status, 1);
}

TEST_F(CliTest, TheConfigurationsModelsAreItsOwn) {
  const std::string file = directory_ + "/hearth.toml";
  std::ofstream(file) << "[models.fixed]\nbase_urls = [\"http://h/v1\"]\naliases = [\"other\"]\n";
  const auto with_file = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--config", file});
    return models(std::move(arguments));
  };
  EXPECT_THAT(with_file({"list"}).output, ::testing::ContainsRegex("fixed .*configuration"));
  EXPECT_EQ(with_file({"alias"}).output, "other -> fixed\n");
  EXPECT_THAT(with_file({"add", "fixed", "--base-urls", "http://h/v1"}).errors,
              HasSubstr("the configuration defines fixed"));
  EXPECT_THAT(with_file({"remove", "fixed"}).errors, HasSubstr("remove it there"));
  EXPECT_THAT(with_file({"alias", "other", "fixed"}).errors,
              HasSubstr("the configuration defines the alias"));
}

TEST_F(CliTest, WhatIsNoModelIsRefused) {
  const std::string file = directory_ + "/x.gguf";
  std::ofstream(file) << "this is no model";
  EXPECT_EQ(models({"add", "bad", "--file", file}).status, 1);
  EXPECT_EQ(models({"add", "bad"}).status, 1);
  EXPECT_EQ(models({"add", "bad", "--file", file, "--base-urls", "http://h/v1"}).status, 2);
  EXPECT_THAT(models({"list"}).output, Not(HasSubstr("bad")));
}

}  // namespace
}  // namespace hearth::app
