#include "engine/engine_kinds.hpp"

#include <gmock/gmock.h>
#include <stdexcept>

#include <gtest/gtest.h>

#include "engine/upstream/spec.hpp"

namespace hearth::engine {
namespace {

json::object definition(std::string_view text) {
  return json::parse(text).value().get_object();
}

std::string failure(std::string_view text) {
  try {
    parse_engine_spec(definition(text));
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(EngineKinds, AMemberTellsTheKindWhereTheDefinitionDoesNot) {
  EXPECT_EQ(parse_engine_spec(definition(R"({"file":"/m.gguf"})"))->kind(), "llama");
  EXPECT_EQ(parse_engine_spec(definition(R"({"base_urls":["http://a/v1"]})"))->kind(), "upstream");
  EXPECT_EQ(parse_engine_spec(definition(R"({"engine":"llama","file":"/m.gguf"})"))->kind(), "llama");
  EXPECT_EQ(failure("{}"), "names neither a file nor an upstream");
  EXPECT_THAT(failure(R"({"engine":"steam","file":"/m"})"), testing::HasSubstr("steam"));
}

TEST(EngineKinds, EnginesOfDifferentKindsDiffer) {
  const auto llama = parse_engine_spec(definition(R"({"file":"/m.gguf"})"));
  const auto upstream =
      make_upstream_engine({.base_urls = {"http://a/v1", "http://b/v1"}, .api_key = "k", .model = "x"});
  EXPECT_FALSE(same_engine(*llama, *upstream));
  EXPECT_TRUE(same_engine(*upstream, *parse_engine_spec(upstream->render())));
  EXPECT_EQ(upstream->place(), "http://a/v1 http://b/v1");
  for (const EngineDetail& detail : upstream->describe()) {
    const auto* text = std::get_if<std::string>(&detail.value);
    EXPECT_TRUE(!text || *text != "k") << "a key is never shown";
  }
}

}  // namespace
}  // namespace hearth::engine
