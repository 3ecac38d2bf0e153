#include "engine/upstream/reply.hpp"

#include <gmock/gmock.h>

#include <gtest/gtest.h>

namespace hearth::engine::upstream {
namespace {

using testing::HasSubstr;

json::object object(std::string_view text) {
  return json::parse(text).value().as_object();
}
std::string text(const json::value& value) {
  return json::write(value);
}
std::string chat(std::string_view answer, std::size_t choices = 1) {
  return text(read_reply(parse_answer(answer), Asked::chat, choices));
}

TEST(UpstreamRequest, ReplacesTheModelAndKeepsOursBack) {
  const auto request = object(
      R"({"model":"mine","messages":[{"role":"user","content":"a\"b"}],"store":true,"metadata":{"a":"b"},
          "stop":null,"temperature":0.5,"stream":true,"stream_options":{"include_usage":false},"user":"u"})");
  EXPECT_EQ(
      render_request(request, "theirs", Delivery::whole),
      R"({"model":"theirs","messages":[{"role":"user","content":"a\"b"}],"temperature":5E-1,"user":"u"})");
  EXPECT_THAT(render_request(request, "theirs", Delivery::streamed),
              HasSubstr(R"("stream":true,"stream_options":{"include_usage":true}})"));
}

TEST(UpstreamRequest, KeepsBackWhatIsTakenWithoutEffect) {
  const auto request = object(
      R"({"safety_identifier":"s","prompt_cache_key":"k","prompt_cache_retention":"24h","service_tier":"flex",
          "stream_options":{"include_usage":true,"include_obfuscation":true},"n":1})");
  EXPECT_EQ(render_request(request, "m", Delivery::whole), R"({"model":"m","n":1})");
  EXPECT_EQ(render_request(request, "m", Delivery::streamed),
            R"({"model":"m","n":1,"stream":true,"stream_options":{"include_usage":true}})");
}

TEST(UpstreamRequest, CountsChoices) {
  EXPECT_EQ(count_choices(object(R"({"n":3})"), Asked::chat), 3u);
  EXPECT_EQ(count_choices(object(R"({"n":null})"), Asked::chat), 1u);
  EXPECT_EQ(count_choices(object(R"({"prompt":"a"})"), Asked::completion), 1u);
  EXPECT_EQ(count_choices(object(R"({"prompt":[1,2,3],"n":2})"), Asked::completion), 2u);
  EXPECT_EQ(count_choices(object(R"({"prompt":["a","b"],"n":2})"), Asked::completion), 4u);
  EXPECT_EQ(count_choices(object(R"({"prompt":[[1],[2],[3]]})"), Asked::completion), 3u);
}

TEST(UpstreamReply, CompletesAndReducesAChatReply) {
  EXPECT_EQ(
      chat(
          R"({"id":"x","model":"m","vendor":1,"choices":[{"message":{"role":"assistant","content":"Hi","thinking":"…"},
               "stop_reason":null,"finish_reason":"eos"}],"usage":{"prompt_tokens":3,"completion_tokens":2,
               "total_tokens":99,"queue_time":0.1,"prompt_tokens_details":{"cached_tokens":1,"odd":2}}})"),
      R"({"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null},)"
      R"("logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,)"
      R"("prompt_tokens_details":{"cached_tokens":1}}})");
}

TEST(UpstreamReply, ReadsToolCallsInTheirManyForms) {
  EXPECT_THAT(
      chat(R"({"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"function":{"name":"f",
                      "arguments":{"a":1}}}]},"finish_reason":"tool_use"}]})"),
      HasSubstr(R"("content":null,"refusal":null,"tool_calls":[{"id":"call_0","type":"function","function":)"
                R"({"name":"f","arguments":"{\"a\":1}"}}]},"logprobs":null,"finish_reason":"tool_calls")"));
}

TEST(UpstreamReply, CompletesLogprobs) {
  EXPECT_THAT(
      chat(R"({"choices":[{"message":{"content":"a"},"finish_reason":"length",
                      "logprobs":{"content":[{"token":"a","logprob":-1,"id":7,"top_logprobs":[{"token":"b","logprob":-2}]},
                      {"token":"c","logprob":-3}]}}]})"),
      HasSubstr(
          R"("logprobs":{"content":[{"token":"a","logprob":-1E0,"bytes":null,"top_logprobs":[{"token":"b",)"
          R"("logprob":-2E0,"bytes":null}]},{"token":"c","logprob":-3E0,"bytes":null,"top_logprobs":[]}],)"
          R"("refusal":null})"));
}

TEST(UpstreamReply, RefusesWhatIsNoAnswer) {
  for (const std::string_view bad :
       {"", "null", "[]", "{}", "<html>", R"({"choices":[]})", R"({"choices":[{}]})",
        R"({"choices":[{"message":"x"}]})", R"({"choices":[{"index":5,"message":{"content":"x"}}]})",
        R"({"choices":[{"message":{"content":"x"},"finish_reason":"abort"}]})"})
    EXPECT_THROW(chat(bad), ApiError) << bad;
}

TEST(UpstreamReply, ReadsTextCompletions) {
  EXPECT_EQ(
      text(read_reply(
          parse_answer(R"({"choices":[{"text":"x","finish_reason":"tool_calls","prompt_logprobs":null}]})"),
          Asked::completion, 1)),
      R"({"object":"text_completion","choices":[{"index":0,"text":"x","logprobs":null,"finish_reason":"stop"}],)"
      R"("usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}})");
}

TEST(UpstreamReply, GivesEmbeddingsInTheFormThatWasAskedFor) {
  const auto floats = R"({"data":[{"embedding":[1,-2.5]}],"usage":{"prompt_tokens":4}})";
  const auto packed = R"({"data":[{"index":0,"embedding":"AACAPwAAIMA="}]})";
  const auto as_floats = object(R"({"input":"a"})");
  const auto as_base64 = object(R"({"input":"a","encoding_format":"base64"})");
  EXPECT_EQ(text(read_embeddings(parse_answer(floats), as_floats)),
            R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,-2.5E0]}],)"
            R"("usage":{"prompt_tokens":4,"total_tokens":4}})");
  EXPECT_THAT(text(read_embeddings(parse_answer(floats), as_base64)),
              HasSubstr(R"("embedding":"AACAPwAAIMA=")"));
  EXPECT_THAT(text(read_embeddings(parse_answer(packed), as_floats)),
              HasSubstr(R"("embedding":[1E0,-2.5E0])"));
  EXPECT_THROW(read_embeddings(parse_answer(floats), object(R"({"input":["a","b"]})")), ApiError);
}

TEST(UpstreamReply, FitsVectorsToTheDimensions) {
  const auto fitted = [](std::string_view answer, std::string_view request) {
    auto reply = read_embeddings(parse_answer(answer), object(request));
    fit_dimensions(reply, object(request));
    return reply.at("data").at(0).at("embedding");
  };
  const auto numbers = R"({"data":[{"embedding":[3,4,12]}]})";
  const auto two = fitted(numbers, R"({"input":"a","dimensions":2})");
  ASSERT_EQ(two.as_array().size(), 2u);
  EXPECT_NEAR(two.at(0).to_number<double>(), 0.6, 1e-6);
  EXPECT_NEAR(two.at(1).to_number<double>(), 0.8, 1e-6);
  EXPECT_EQ(text(fitted(numbers, R"({"input":"a","dimensions":3})")), "[3,4,12]");
  EXPECT_EQ(text(fitted(R"({"data":[{"embedding":"AACAPwAAIMA="}]})",
                        R"({"input":"a","dimensions":1,"encoding_format":"base64"})")),
            R"("AACAPw==")");
  EXPECT_THROW(fitted(numbers, R"({"input":"a","dimensions":4})"), ApiError);
}

TEST(UpstreamReply, FewerChoicesThanAskedForAreTheRequestsFault) {
  try {
    chat(R"({"choices":[{"message":{"content":"x"}}]})", 2);
    ADD_FAILURE() << "one choice is not two";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    EXPECT_EQ(error.param(), "n");
  }
}

TEST(UpstreamErrors, InAStreamKeepTheirWordsOutOfTheLog) {
  ::testing::internal::CaptureStderr();
  log_stream_error(parse_answer(
      R"({"message":"bad key sk-1","type":"server_error","code":"sk-1 is no key","status":500})"));
  log_stream_error(parse_answer(R"("sk-1")"));
  const std::string logged = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(logged, HasSubstr("server_error"));
  EXPECT_THAT(logged, HasSubstr("500"));
  EXPECT_THAT(logged, testing::Not(HasSubstr("sk-1")));
}

TEST(UpstreamChunks, AddTheRoleAndHoldBackUsage) {
  ChunkReader chunks(Asked::chat, 1);
  EXPECT_EQ(
      text(*chunks.read(parse_answer(
          R"({"id":"i","choices":[{"index":0,"delta":{"content":"a","reasoning_content":"r"}}],"usage":{"prompt_tokens":1}})"))),
      R"({"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"a"},)"
      R"("logprobs":null,"finish_reason":null}]})");
  EXPECT_FALSE(chunks.read(parse_answer(R"({"choices":[{"index":0,"delta":{"reasoning_content":"r"}}]})")));
  EXPECT_FALSE(chunks.complete());
  EXPECT_THAT(text(*chunks.read(parse_answer(R"({"choices":[{"delta":{},"finish_reason":"stop"}]})"))),
              HasSubstr(R"("delta":{},"logprobs":null,"finish_reason":"stop")"));
  EXPECT_TRUE(chunks.complete());
  EXPECT_FALSE(
      chunks.read(parse_answer(R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}})")));
  EXPECT_EQ(text(chunks.usage_chunk()),
            R"({"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":7,)"
            R"("completion_tokens":2,"total_tokens":9}})");
}

TEST(UpstreamChunks, CountPiecesWhenNobodyReportsUsage) {
  ChunkReader chunks(Asked::completion, 2);
  chunks.read(parse_answer(R"({"choices":[{"index":0,"text":"a"}]})"));
  chunks.read(parse_answer(R"({"choices":[{"index":1,"text":"b","finish_reason":"length"}]})"));
  EXPECT_FALSE(chunks.complete());
  chunks.read(parse_answer(R"({"choices":[{"index":0,"text":"","finish_reason":"stop"}]})"));
  EXPECT_TRUE(chunks.complete());
  EXPECT_TRUE(chunks.counted());
  EXPECT_THAT(text(chunks.usage_chunk()), HasSubstr(R"("completion_tokens":2)"));
}

TEST(UpstreamChunks, PassOnErrors) {
  ChunkReader chunks(Asked::chat, 1);
  EXPECT_THROW(chunks.read(parse_answer(R"({"error":{"message":"out of memory"}})")), ApiError);
  EXPECT_THROW(chunks.read(parse_answer(R"({"choices":[{"index":1,"delta":{}}]})")), ApiError);
  EXPECT_THROW(chunks.read(parse_answer("7")), ApiError);
}

TEST(UpstreamErrors, SpeakTheApisWords) {
  const net::Headers none;
  const auto bad = read_error(
      400, none, R"({"error":{"message":"no such key sk-1","param":"top_k","code":"bad"}})", "sk-1");
  EXPECT_EQ(bad.status(), 400);
  EXPECT_EQ(bad.message(), "no such key ***");
  EXPECT_EQ(bad.param(), "top_k");
  EXPECT_EQ(bad.code(), "bad");
  const auto vllm = read_error(
      400, none, R"({"object":"error","message":"This model's maximum context length is 8","code":400})", "");
  EXPECT_EQ(vllm.code(), "context_length_exceeded");
  EXPECT_EQ(read_error(422, none, R"({"detail":"field required"})", "").message(), "field required");
  const auto key =
      read_error(401, none, R"({"error":{"message":"Incorrect API key provided: sk-1"}})", "sk-1");
  EXPECT_EQ(key.status(), 503);
  EXPECT_THAT(key.message(), testing::Not(HasSubstr("sk-1")));
  net::Headers wait;
  wait.add("Retry-After", "7");
  const auto busy = read_error(429, wait, "slow down", "");
  EXPECT_EQ(busy.status(), 429);
  EXPECT_EQ(busy.retry_after(), std::chrono::seconds(7));
  EXPECT_EQ(read_error(500, none, "<html>", "").status(), 503);
}

}  // namespace
}  // namespace hearth::engine::upstream
