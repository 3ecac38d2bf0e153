#include "domain/chat_rules.hpp"

#include <gtest/gtest.h>

#include "base/api_error.hpp"

namespace hearth::domain {
namespace {

engine::Model text_model() {
  engine::Model model;
  model.id = "m";
  model.capabilities = {engine::Capability::chat, engine::Capability::tools};
  return model;
}

// The param of the error, "" when there is none.
std::string refused(std::string_view request, const engine::Model& model = text_model()) {
  try {
    check_chat_request(json::parse(request)->get_object(), model);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    return error.param().value_or("(none)");
  }
  return "";
}

TEST(ChatRules, AcceptsAnOrdinaryConversation) {
  EXPECT_EQ(refused(R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},
    {"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},
                                                     {"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"b","content":"1"},{"role":"tool","tool_call_id":"a","content":"2"}],
    "tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}},
    "logprobs":true,"top_logprobs":2,"stream":true,"stream_options":{"include_usage":true}})"),
            "");
}

TEST(ChatRules, ToolMessagesAnswerCalls) {
  EXPECT_EQ(refused(R"({"messages":[{"role":"tool","tool_call_id":"a","content":"1"}]})"),
            "messages[0].role");
  EXPECT_EQ(
      refused(
          R"({"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":""}}]},
    {"role":"tool","tool_call_id":"x","content":"1"}]})"),
      "messages[1].tool_call_id");
  EXPECT_EQ(refused(R"({"messages":[{"role":"assistant"}]})"), "messages[0].content");
}

TEST(ChatRules, FieldsThatNeedEachOther) {
  const std::string messages = R"("messages":[{"role":"user","content":"u"}])";
  EXPECT_EQ(refused("{" + messages + R"(,"stream":false,"stream_options":{"include_usage":true}})"),
            "stream_options");
  EXPECT_EQ(refused("{" + messages + R"(,"logprobs":false,"top_logprobs":1})"), "top_logprobs");
  EXPECT_EQ(refused("{" + messages + R"(,"max_tokens":1,"max_completion_tokens":1})"), "max_tokens");
  EXPECT_EQ(refused("{" + messages +
                    R"(,"tools":[{"type":"function","function":{"name":"f"}}],"functions":[{"name":"g"}]})"),
            "functions");
  EXPECT_EQ(refused("{" + messages +
                    R"(,"tools":[{"type":"function","function":{"name":"f"}}],
                        "tool_choice":{"type":"function","function":{"name":"g"}}})"),
            "tool_choice.function.name");
  EXPECT_EQ(refused("{" + messages + R"(,"functions":[{"name":"f"}],"function_call":{"name":"g"}})"),
            "function_call.name");
  EXPECT_EQ(refused("{" + messages + R"(,"tools":[],"tool_choice":"auto"})"), "tool_choice");
}

TEST(ChatRules, PartsThatTheModelCannotTake) {
  constexpr std::string_view image =
      R"({"messages":[{"role":"user","content":[{"type":"text","text":"?"},{"type":"image_url","image_url":{"url":"data:"}}]}]})";
  EXPECT_EQ(refused(image), "messages[0].content[1].type");
  engine::Model sees = text_model();
  sees.capabilities.insert(engine::Capability::vision);
  EXPECT_EQ(refused(image, sees), "");
}

TEST(ChatRules, WhatTheModelCannotDo) {
  engine::Model plain;
  plain.id = "plain";
  plain.capabilities = {engine::Capability::chat, engine::Capability::completion};
  EXPECT_EQ(
      refused(
          R"({"messages":[{"role":"user","content":"u"}],"tools":[{"type":"function","function":{"name":"f"}}]})",
          plain),
      "tools");
  EXPECT_EQ(refused(R"({"messages":[{"role":"user","content":"u"}],"functions":[{"name":"f"}]})", plain),
            "functions");
  EXPECT_THROW(check_completion_request(json::parse(R"({"suffix":"x"})")->get_object(), plain), ApiError);
  plain.capabilities.insert(engine::Capability::infill);
  EXPECT_NO_THROW(check_completion_request(json::parse(R"({"suffix":"x"})")->get_object(), plain));
}

TEST(ChatRules, BestOf) {
  const auto check = [](std::string_view request) {
    check_completion_request(json::parse(request)->get_object(), text_model());
  };
  EXPECT_NO_THROW(check(R"({"n":2,"best_of":3})"));
  EXPECT_NO_THROW(check(R"({"n":2})"));
  EXPECT_THROW(check(R"({"n":3,"best_of":2})"), ApiError);
  EXPECT_THROW(check(R"({"n":1,"best_of":2,"stream":true})"), ApiError);
}

}  // namespace
}  // namespace hearth::domain
