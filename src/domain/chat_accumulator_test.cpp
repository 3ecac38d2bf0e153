#include "domain/chat_accumulator.hpp"

#include <gtest/gtest.h>

namespace hearth::domain {
namespace {

TEST(ChatAccumulator, PutsTextAndToolCallsTogether) {
  ChatAccumulator accumulator;
  for (
      std::string_view chunk : {
          R"({"id":"chatcmpl-1","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null},{"index":1,"delta":{"role":"assistant"},"finish_reason":null}]})",
          R"({"id":"chatcmpl-1","created":5,"model":"m","choices":[{"index":0,"delta":{"content":"Hel"},"logprobs":{"content":[{"token":"Hel","logprob":-1,"bytes":null,"top_logprobs":[]}],"refusal":null},"finish_reason":null}]})",
          R"({"id":"chatcmpl-1","created":5,"model":"m","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null},{"index":1,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}]})",
          R"({"id":"chatcmpl-1","created":5,"model":"m","choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]},"finish_reason":null}]})",
          R"({"id":"chatcmpl-1","created":5,"model":"m","choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":"tool_calls"},{"index":0,"delta":{},"finish_reason":"stop"}]})",
      }) {
    accumulator.add(json::parse(chunk)->get_object());
  }
  EXPECT_EQ(json::value(accumulator.finish(
                *json::parse(R"({"prompt_tokens":1,"completion_tokens":2,"total_tokens":3})"))),
            *json::parse(
                R"({"id":"chatcmpl-1","object":"chat.completion","created":5,"model":"m","choices":[
          {"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},
           "logprobs":{"content":[{"token":"Hel","logprob":-1,"bytes":null,"top_logprobs":[]}],"refusal":null},"finish_reason":"stop"},
          {"index":1,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
           "logprobs":null,"finish_reason":"tool_calls"}],
          "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})"));
}

}  // namespace
}  // namespace hearth::domain
