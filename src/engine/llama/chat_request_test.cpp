// What a request asks for and does not get: refused, or reported.
#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "engine/llama/completion.hpp"
#include "engine/llama/samples.hpp"

namespace hearth::engine::llama {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string chat_with(std::string_view members) {
  return R"({"messages":[{"role":"user","content":"hi"}],)" + std::string(members) + "}";
}
std::vector<std::string> ignored_of(std::string_view members) {
  return plan_chat(object(chat_with(members)), able()).ignored;
}
Refusal completion_refusal(std::string_view request) {
  return refusal([&] { plan_completion(object(request), able()); });
}
const Refusal fine("", "nothing was thrown");

TEST(LlamaChatRequest, RefusesMoreTokensThanTheContextHolds) {
  EXPECT_EQ(chat_refusal(chat_with(R"("max_completion_tokens":4096)")), fine);
  EXPECT_EQ(chat_refusal(chat_with(R"("max_completion_tokens":4097)")),
            Refusal("invalid_value", "max_completion_tokens"));
  EXPECT_EQ(chat_refusal(chat_with(R"("max_tokens":9007199254740991)")),
            Refusal("invalid_value", "max_tokens"));
  EXPECT_EQ(completion_refusal(R"({"prompt":"a","max_tokens":4096})"), fine);
  EXPECT_EQ(completion_refusal(R"({"prompt":"a","max_tokens":4097})"),
            Refusal("invalid_value", "max_tokens"));
  EXPECT_EQ(plan_completion(object(R"({"prompt":"a"})"), able()).max_tokens, 16);
}

TEST(LlamaSampling, RefusesEmptyStopSequences) {
  EXPECT_EQ(chat_refusal(chat_with(R"("stop":"")")), Refusal("invalid_value", "stop"));
  EXPECT_EQ(chat_refusal(chat_with(R"("stop":["a",""])")), Refusal("invalid_value", "stop[1]"));
  EXPECT_EQ(completion_refusal(R"({"prompt":"a","stop":[""]})"), Refusal("invalid_value", "stop[0]"));
  EXPECT_EQ(chat_refusal(chat_with(R"("stop":null)")), fine);
}

TEST(LlamaChatRequest, ReportsWhatHasNoEffect) {
  EXPECT_THAT(ignored_of(R"("service_tier":"flex")"), ElementsAre("service_tier"));
  EXPECT_THAT(ignored_of(R"("service_tier":"default")"), IsEmpty());
  constexpr std::string_view tool =
      R"("tools":[{"type":"function","function":{"name":"f"}}],"logprobs":true)";
  EXPECT_THAT(ignored_of(std::string(tool) + R"(,"tool_choice":"required")"), ElementsAre("logprobs"));
  EXPECT_THAT(ignored_of(tool), IsEmpty()) << "text has them";
  EXPECT_THAT(
      ignored_of(R"("response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d",
      "schema":{"type":"object","properties":{"a":{"type":"string","pattern":"a"}}}}})"),
      ElementsAre("response_format.json_schema.schema.properties.a.pattern",
                  "response_format.json_schema.description"));
}

TEST(LlamaChatRequest, HoldsStrictToolsToTheirWord) {
  EXPECT_EQ(
      chat_refusal(chat_with(
          R"("tools":[{"type":"function","function":{"name":"e"}},{"type":"function","function":{"name":"f",
                "strict":true,"parameters":{"type":"object","properties":{"a":{"type":"string","format":"email"}},
                "required":["a"],"additionalProperties":false}}}])")),
      Refusal("invalid_json_schema", "tools[1].function.parameters"));
  EXPECT_THAT(ignored_of(R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object",
      "properties":{"a":{"type":"string","format":"email"}}}}}])"),
              IsEmpty())
      << "the model reads it";
}

}  // namespace
}  // namespace hearth::engine::llama
