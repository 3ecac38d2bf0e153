#include "engine/upstream/reply.hpp"

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "engine/task/describe.hpp"

namespace hearth::engine::upstream {
namespace {

using engine::testing::describe;
using engine::testing::read;
using ::testing::HasSubstr;

json::object object(std::string_view text) {
  return json::parse(text).value().as_object();
}
std::string text(const json::value& value) {
  return json::write(value);
}
// The one choice of a whole reply.
json::value chat(std::string_view answer, std::size_t choices = 1) {
  return describe(read_reply(parse_answer(answer), Asked::chat, choices).deltas.at(0));
}
json::value described(std::span<Delta> deltas) {
  json::array out;
  for (const Delta& delta : deltas)
    out.push_back(describe(delta));
  return out;
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
  const WholeReply reply = read_reply(
      parse_answer(
          R"({"id":"x","model":"m","vendor":1,"system_fingerprint":"fp","choices":[{"message":{"role":"assistant","content":"Hi",
               "thinking":"…","reasoning_content":"hm"},"stop_reason":null,"finish_reason":"eos"}],
               "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":99,"queue_time":0.1,
               "prompt_tokens_details":{"cached_tokens":1,"odd":2},"completion_tokens_details":{"reasoning_tokens":-1}}})"),
      Asked::chat, 1);
  ASSERT_EQ(reply.deltas.size(), 1u);
  EXPECT_EQ(describe(reply.deltas[0]), read(R"({"choice":0,"text":"Hi","reasoning":"hm","finish":"stop"})"));
  EXPECT_EQ(reply.usage, (TokenUsage{.prompt = 3, .completion = 2, .cached_prompt = 1}));
  EXPECT_EQ(reply.fingerprint, "fp");
}

TEST(UpstreamReply, ReadsToolCallsInTheirManyForms) {
  EXPECT_EQ(chat(R"({"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"function":{"name":"f",
                      "arguments":{"a":1}}},{"id":"x","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_use"}]})"),
            read(R"({"choice":0,"calls":[{"index":0,"id":"call_0","name":"f","arguments":"{\"a\":1}"},
               {"index":1,"id":"x","name":"g","arguments":"{}"}],"finish":"tool_calls"})"));
  EXPECT_EQ(
      chat(
          R"({"choices":[{"message":{"function_call":{"name":"f","arguments":"{}"}},"finish_reason":"function_call"}]})"),
      read(
          R"({"choice":0,"calls":[{"index":0,"style":"functions","name":"f","arguments":"{}"}],"finish":"function_call"})"));
}

TEST(UpstreamReply, ReadsTextInParts) {
  EXPECT_EQ(
      chat(
          R"({"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"image"},{"text":"b"}]}}]})"),
      read(R"({"choice":0,"text":"ab","finish":"stop"})"));
}

TEST(UpstreamReply, KeepsAudioAndCitations) {
  EXPECT_EQ(
      chat(
          R"({"choices":[{"message":{"content":null,"audio":{"id":"a","expires_at":1,"data":"eA==","transcript":"x","odd":1},
                 "annotations":[{"type":"url_citation","url_citation":{"start_index":0,"end_index":1,"url":"u","title":"t","odd":1}},
                 {"type":"odd"}]},"finish_reason":"stop"}]})"),
      read(R"({"choice":0,"finish":"stop","audio":{"id":"a","expires_at":1,"data":"eA==","transcript":"x"},
                 "annotations":[{"type":"url_citation","url_citation":{"start_index":0,"end_index":1,"url":"u","title":"t"}}]})"));
}

TEST(UpstreamReply, CompletesLogprobs) {
  const WholeReply reply =
      read_reply(parse_answer(R"({"choices":[{"message":{"content":"a"},"finish_reason":"length",
                      "logprobs":{"content":[{"token":"a","logprob":-1,"id":7,"top_logprobs":[{"token":"b","logprob":-2}]},
                      {"token":"c","bytes":[99]}]}}]})"),
                 Asked::chat, 1);
  ASSERT_TRUE(reply.deltas.at(0).logprobs);
  const Logprobs& logprobs = *reply.deltas[0].logprobs;
  EXPECT_EQ(logprobs.text,
            (std::vector<TokenLogprob>{
                {.token = "a", .logprob = -1, .alternatives = {{{.token = "b", .logprob = -2}}}},
                {.token = "c",
                 .logprob = -9999,
                 .bytes = "c",
                 .alternatives = std::vector<TokenLogprob::Alternative>()}}));
  EXPECT_FALSE(logprobs.refusal);
}

TEST(UpstreamReply, RefusesWhatIsNoAnswer) {
  for (const std::string_view bad :
       {"", "null", "[]", "{}", "<html>", R"({"choices":[]})", R"({"choices":[{}]})",
        R"({"choices":[{"message":"x"}]})", R"({"choices":[{"index":5,"message":{"content":"x"}}]})",
        R"({"choices":[{"message":{"content":"x"},"finish_reason":"abort"}]})"})
    EXPECT_THROW(chat(bad), ApiError) << bad;
}

TEST(UpstreamReply, ReadsTextCompletions) {
  const WholeReply reply = read_reply(
      parse_answer(R"({"choices":[{"text":"x","finish_reason":"tool_calls","prompt_logprobs":null}]})"),
      Asked::completion, 1);
  EXPECT_EQ(describe(reply.deltas.at(0)), read(R"({"choice":0,"text":"x","finish":"stop"})"));
  EXPECT_EQ(reply.usage, TokenUsage());
}

TEST(UpstreamReply, ReadsTheLogprobsOfTextsAndCompletesTheirPlaces) {
  const auto read_all = [](std::string_view logprobs) {
    return describe(read_reply(parse_answer(R"({"choices":[{"text":"äb","logprobs":)" +
                                            std::string(logprobs) + "}]}"),
                               Asked::completion, 1)
                        .deltas.at(0))
        .at("logprobs");
  };
  EXPECT_EQ(read_all(R"({"tokens":["ä","b"],"token_logprobs":[null,-2],"text_offset":[4,5],
                         "top_logprobs":[null,{"b":-2,"c":-3}]})"),
            read(R"({"text":[{"token":"ä","offset":4,"logprob":null},{"token":"b","offset":5,"logprob":-2E0,
                     "alternatives":[{"token":"b","logprob":-2E0},{"token":"c","logprob":-3E0}]}]})"));
  EXPECT_EQ(
      read_all(R"({"tokens":["ä","b"],"token_logprobs":[-1,-2]})"),
      read(R"({"text":[{"token":"ä","offset":0,"logprob":-1E0},{"token":"b","offset":1,"logprob":-2E0}]})"));
  EXPECT_EQ(read_all("{}"), json::object());
  EXPECT_THROW(read_all(R"({"tokens":[1]})"), ApiError);
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
  EXPECT_THAT(logged, ::testing::Not(HasSubstr("sk-1")));
}

TEST(UpstreamChunks, BeginAndEndTheirChoiceAndHoldBackUsage) {
  ChunkReader chunks(Asked::chat, 1);
  EXPECT_EQ(
      described(chunks.read(
          R"({"id":"i","choices":[{"index":0,"delta":{"content":"a","reasoning_content":"r"}}],"usage":{"prompt_tokens":1}})")),
      read(R"([{"choice":0,"text":"a","reasoning":"r"}])"));
  EXPECT_EQ(described(chunks.read(R"({"choices":[{"index":0,"delta":{"reasoning":"r"}}]})")),
            read(R"([{"choice":0,"reasoning":"r"}])"));
  EXPECT_TRUE(chunks.read(R"({"choices":[{"index":0,"delta":{"content":""}}]})").empty());
  EXPECT_TRUE(chunks.read(R"({"choices":[{"index":0,"delta":{"odd":1}}]})").empty());
  EXPECT_FALSE(chunks.complete());
  EXPECT_EQ(described(chunks.read(
                R"({"system_fingerprint":"fp","choices":[{"delta":{},"finish_reason":"stop"}]})")),
            read(R"([{"choice":0,"finish":"stop"}])"));
  EXPECT_TRUE(chunks.complete());
  EXPECT_EQ(chunks.fingerprint(), "fp");
  EXPECT_TRUE(chunks.read(R"({"choices":[{"index":0,"delta":{"content":"too late"}}]})").empty());
  EXPECT_TRUE(chunks.read(R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}})").empty());
  EXPECT_FALSE(chunks.counted());
  EXPECT_EQ(chunks.usage(), (TokenUsage{.prompt = 7, .completion = 2}));
}

TEST(UpstreamChunks, SayIdAndNameOfACallOnce) {
  ChunkReader chunks(Asked::chat, 1);
  const auto calls = [&](std::string_view pieces) {
    return described(
        chunks.read(R"({"choices":[{"index":0,"delta":{"tool_calls":)" + std::string(pieces) + "}}]}"));
  };
  EXPECT_EQ(calls(R"([{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":""}}])"),
            read(R"([{"choice":0,"calls":[{"index":0,"id":"x","name":"f"}]}])"));
  EXPECT_EQ(calls(R"([{"index":0,"id":"x","function":{"name":"f","arguments":"{"}}])"),
            read(R"([{"choice":0,"calls":[{"index":0,"arguments":"{"}]}])"))
      << "a client would put them together twice";
  EXPECT_EQ(
      calls(R"([{"index":2,"function":{"arguments":{"a":1}}},{"index":1,"id":"y"}])"),
      read(
          R"([{"choice":0,"calls":[{"index":2,"id":"call_2","arguments":"{\"a\":1}"},{"index":1,"id":"y"}]}])"));
  EXPECT_EQ(calls(R"([{"index":1,"function":{"name":"g"}}])"),
            read(R"([{"choice":0,"calls":[{"index":1,"name":"g"}]}])"));
  EXPECT_THROW(calls(R"([{"index":-1}])"), ApiError);
  EXPECT_THROW(calls(R"([{"index":1000000000}])"), ApiError);
  EXPECT_EQ(described(chunks.read(R"({"choices":[{"index":0,"delta":{},"finish_reason":"eos"}]})")),
            read(R"([{"choice":0,"finish":"tool_calls"}])"));
}

TEST(UpstreamChunks, CountPiecesWhenNobodyReportsUsage) {
  ChunkReader chunks(Asked::completion, 2);
  chunks.read(R"({"choices":[{"index":0,"text":"a"}]})");
  chunks.read(R"({"choices":[{"index":1,"text":"b","finish_reason":"length"}]})");
  EXPECT_FALSE(chunks.complete());
  chunks.read(R"({"choices":[{"index":0,"text":"","finish_reason":"stop"}]})");
  EXPECT_TRUE(chunks.complete());
  EXPECT_TRUE(chunks.counted());
  EXPECT_EQ(chunks.usage(), TokenUsage{.completion = 2});
}

TEST(UpstreamChunks, HoldSeveralChoices) {
  ChunkReader chunks(Asked::chat, 2);
  EXPECT_EQ(described(chunks.read(R"({"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]})")),
            read(R"([{"choice":0,"text":"a"},{"choice":1,"text":"b"}])"));
  EXPECT_EQ(described(chunks.read(R"({"choices":[{"index":1,"delta":{"content":"c"}}]})")),
            read(R"([{"choice":1,"text":"c"}])"))
      << "nothing is left of the event before";
}

TEST(UpstreamChunks, PassOnErrors) {
  ChunkReader chunks(Asked::chat, 1);
  EXPECT_THROW(chunks.read(R"({"error":{"message":"out of memory"}})"), ApiError);
  EXPECT_THROW(chunks.read(R"({"choices":[{"index":1,"delta":{}}]})"), ApiError);
  EXPECT_THROW(chunks.read("7"), ApiError);
  EXPECT_THROW(chunks.read("<html>"), ApiError);
}

TEST(UpstreamChunks, LongEventsAreReadToo) {
  ChunkReader chunks(Asked::chat, 1);
  const std::string text(100'000, 'x');
  EXPECT_EQ(chunks.read(R"({"choices":[{"delta":{"content":")" + text + R"("}}]})")[0].text, text);
}

TEST(UpstreamLogprobs, AreJudgedByTheFirstText) {
  Delta delta;
  EXPECT_EQ(judge_logprobs(delta), LogprobsGiven::undecided);
  delta.text = "a";
  EXPECT_EQ(judge_logprobs(delta), LogprobsGiven::no);
  delta.logprobs.emplace();
  EXPECT_EQ(judge_logprobs(delta), LogprobsGiven::no);
  delta.logprobs->text.emplace();
  EXPECT_EQ(judge_logprobs(delta), LogprobsGiven::yes);
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
  EXPECT_THAT(key.message(), ::testing::Not(HasSubstr("sk-1")));
  net::Headers wait;
  wait.add("Retry-After", "7");
  const auto busy = read_error(429, wait, "slow down", "");
  EXPECT_EQ(busy.status(), 429);
  EXPECT_EQ(busy.retry_after(), std::chrono::seconds(7));
  EXPECT_EQ(read_error(500, none, "<html>", "").status(), 503);
}

}  // namespace
}  // namespace hearth::engine::upstream
