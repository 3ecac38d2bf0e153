// The pure half of the llama adapter: requests in, the server's replies out, no process.
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "engine/llama/chat.hpp"
#include "engine/llama/completion.hpp"
#include "engine/llama/embedding.hpp"
#include "engine/llama/errors.hpp"
#include "engine/llama/samples.hpp"
#include "engine/task/describe.hpp"

namespace hearth::engine::llama {
namespace {

using testing::describe;
using testing::read;

class FixedIds final : public CallIds {
 public:
  std::string next() override { return "call_" + std::to_string(++made_); }

 private:
  int made_ = 0;
};

TEST(LlamaChatRequest, OverridesTheServersDefaults) {
  const ChatPlan plan =
      plan_chat(object(R"({"messages":[{"role":"user","content":"hi"}],"seed":7,"stop":["a"],
      "logprobs":true,"max_completion_tokens":5,"n":2})"),
                able());
  EXPECT_EQ(plan.choices, 2u);
  const json::object first = render_chat_call(plan, 0, Delivery::whole);
  EXPECT_EQ(first.at("temperature").to_number<double>(), 1.0);
  EXPECT_EQ(first.at("top_p").to_number<double>(), 1.0);
  EXPECT_EQ(first.at("top_k"), 0);
  EXPECT_EQ(first.at("min_p"), 0);
  EXPECT_EQ(first.at("stop"), json::value(json::array{"a"}));
  EXPECT_EQ(first.at("max_tokens"), 5);
  EXPECT_EQ(first.at("top_logprobs"), 1) << "none would give no probabilities at all";
  EXPECT_FALSE(first.contains("n"));
  const json::object second = render_chat_call(plan, 1, Delivery::streamed);
  EXPECT_EQ(second.at("seed").to_number<std::uint64_t>(), first.at("seed").to_number<std::uint64_t>() + 1);
  EXPECT_TRUE(second.at("stream_options").at("include_usage").as_bool());
}

TEST(LlamaChatRequest, RendersEveryRole) {
  const ChatPlan plan = plan_chat(object(R"({"messages":[
      {"role":"developer","content":"be brief"},
      {"role":"user","content":[{"type":"text","text":"weather?"}]},
      {"role":"assistant","function_call":{"name":"look","arguments":"{}"}},
      {"role":"function","name":"look","content":"rain"},
      {"role":"assistant","content":null,"refusal":"no"},
      {"role":"assistant","content":[{"type":"refusal","refusal":"never"}]}]})"),
                                  able());
  const json::array& messages = plan.body.at("messages").get_array();
  EXPECT_EQ(messages[2].at("tool_calls").at(0).at("function").at("name"), "look");
  EXPECT_EQ(messages[3].at("role"), "tool");
  EXPECT_EQ(messages[3].at("tool_call_id"), messages[2].at("tool_calls").at(0).at("id"));
  EXPECT_EQ(messages[4].at("content"), "no");
  EXPECT_EQ(messages[5].at("content").at(0).at("text"), "never");
}

TEST(LlamaChatRequest, RefusesWhatTheModelCannotHonour) {
  const std::string hi = R"({"messages":[{"role":"user","content":"hi"}],)";
  EXPECT_EQ(chat_refusal(hi + R"("audio":{"voice":"ash","format":"wav"}})"),
            Refusal("unsupported_parameter", "audio"));
  EXPECT_EQ(chat_refusal(hi + R"("modalities":["text","audio"]})"),
            Refusal("unsupported_value", "modalities"));
  EXPECT_EQ(chat_refusal(hi + R"("web_search_options":{}})"),
            Refusal("unsupported_parameter", "web_search_options"));
  EXPECT_EQ(chat_refusal(hi + R"("prediction":{"type":"content","content":"x"}})"),
            Refusal("unsupported_parameter", "prediction"));
  EXPECT_EQ(chat_refusal(hi + R"("reasoning_effort":"high"})"),
            Refusal("unsupported_parameter", "reasoning_effort"));
  EXPECT_EQ(chat_refusal(hi + R"("logit_bias":{"500":1}})"), Refusal("invalid_value", "logit_bias"));
  EXPECT_EQ(chat_refusal(hi + R"("logit_bias":{"cat":1}})"), Refusal("invalid_value", "logit_bias"));
  Traits unable = able();
  unable.calls_tools = false;
  EXPECT_EQ(chat_refusal(hi + R"("tools":[{"type":"function","function":{"name":"f"}}]})", unable),
            Refusal("unsupported_parameter", "tools"));
  EXPECT_EQ(
      chat_refusal(
          R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]})"),
      Refusal("unsupported_value", "messages[0].content[0].type"));
  EXPECT_EQ(
      chat_refusal(
          R"({"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]}]})"),
      Refusal("invalid_value", "messages[0].tool_calls[0].function.arguments"));
}

TEST(LlamaChatRequest, TakesImagesAsDataOnly) {
  Traits sees = able();
  sees.sees = true;
  const auto with = [](std::string_view url) {
    return R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":")" +
           std::string(url) + R"("}}]}]})";
  };
  EXPECT_EQ(plan_chat(object(with("data:image/png;base64,AAAA")), sees).images, json::array({"AAAA"}));
  const std::string where = "messages[0].content[0].image_url.url";
  EXPECT_EQ(chat_refusal(with("http://10.0.0.1/secret"), sees), Refusal("unsupported_value", where));
  EXPECT_EQ(chat_refusal(with("file:///etc/passwd"), sees), Refusal("unsupported_value", where));
  EXPECT_EQ(chat_refusal(with("data:image/png;base64,%%"), sees), Refusal("invalid_base64", where));
}

constexpr std::string_view two_tools = R"({"messages":[{"role":"user","content":"hi"}],"tools":[
    {"type":"function","function":{"name":"look","parameters":{"type":"object","properties":{"at":{"type":"string"}}}}},
    {"type":"function","function":{"name":"wait"}}])";

TEST(LlamaChatRequest, ForcesCallsBySchema) {
  const ChatPlan any =
      plan_chat(object(std::string(two_tools) + R"(,"tool_choice":"required","stop":"a"})"), able());
  ASSERT_EQ(any.callable.size(), 2u);
  EXPECT_FALSE(any.named);
  EXPECT_EQ(render_name_call(any, 0).at("grammar"), R"(root ::= "look" | "wait")");
  ChatPlan named = plan_chat(
      object(std::string(two_tools) + R"(,"tool_choice":{"type":"function","function":{"name":"look"}}})"),
      able());
  ASSERT_EQ(named.callable.size(), 1u);
  EXPECT_TRUE(named.named);
  named.forced_prompt = "P";
  const json::object call = render_arguments_call(named, "look", 0, Delivery::whole);
  EXPECT_EQ(call.at("prompt"), "P<tool_call>\n");
  const json::value& properties = call.at("json_schema").at("properties");
  EXPECT_EQ(properties.at("name").at("const"), "look");
  EXPECT_TRUE(properties.at("arguments").at("properties").get_object().contains("at"));
  EXPECT_FALSE(render_arguments_call(any, "wait", 0, Delivery::whole).contains("stop"));

  const ChatPlan none = plan_chat(object(std::string(two_tools) + R"(,"tool_choice":"none"})"), able());
  EXPECT_FALSE(none.body.contains("tools"));
  const ChatPlan single =
      plan_chat(object(std::string(two_tools) + R"(,"parallel_tool_calls":false})"), able());
  EXPECT_EQ(single.calls, Calls::one);
}

TEST(LlamaChatRequest, KeepsReferencesOfAForcedCallWhole) {
  ChatPlan plan =
      plan_chat(object(R"({"messages":[{"role":"user","content":"hi"}],"tool_choice":"required","tools":[
      {"type":"function","function":{"name":"look","parameters":{"type":"object","properties":{
        "at":{"$ref":"#/$defs/place"},"enum":{"$ref":"#/$defs/place"},"as":{"enum":["$ref"]}},
        "$defs":{"place":{"type":"string"}}}}}]})"),
                able());
  const json::object call = render_arguments_call(plan, "look", 0, Delivery::whole);
  const json::value& arguments = call.at("json_schema").at("properties").at("arguments");
  for (const char* name : {"at", "enum"})
    EXPECT_EQ(arguments.at("properties").at(name).at("$ref"), "#/properties/arguments/$defs/place");
  EXPECT_TRUE(arguments.at("$defs").get_object().contains("place"));
}

TEST(LlamaChatReply, FindsTheArgumentsOfAForcedCall) {
  const auto read = [](std::string_view text, std::size_t width) {
    ArgumentsReader reader;
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += width)
      out += reader.feed(text.substr(at, width));
    return out;
  };
  for (const std::size_t width : {1U, 3U, 100U}) {
    EXPECT_EQ(read(R"({"name": "look", "arguments": {"a": "}\"{:", "b": {"c": [1, {}]}} })", width),
              R"({"a": "}\"{:", "b": {"c": [1, {}]}})");
    EXPECT_EQ(read("{ \"name\" : \"look\",\n \"arguments\":{}\n}\n", width), "{}");
    EXPECT_EQ(read(R"({"name": "look", "arguments": "a b" })", width), R"("a b")");
    EXPECT_EQ(read(R"({"name": "look", "arguments": {"cut": "he)", width), R"({"cut": "he)");
    EXPECT_EQ(read(R"({"name": "lo)", width), "");
  }
}

TEST(LlamaChatRequest, LetsTheFirstWordsDecideBetweenCallAndFormat) {
  const ChatPlan plan = plan_chat(
      object(std::string(two_tools) + R"(,"response_format":{"type":"json_object"},"logprobs":true})"),
      able());
  EXPECT_EQ(plan.rule, CallRule::decide);
  EXPECT_EQ(plan.callable.size(), 2u);
  EXPECT_FALSE(render_decision_call(plan, 0).contains("response_format"));
  EXPECT_FALSE(render_decision_call(plan, 0).contains("logprobs"));
  EXPECT_TRUE(render_chat_call(plan, 0, Delivery::whole).contains("response_format"));
  const auto decision = [](std::string_view delta, std::string_view reason = "null") {
    return read_decision(object(R"({"choices":[{"delta":)" + std::string(delta) + R"(,"finish_reason":)" +
                                std::string(reason) + "}]}"));
  };
  EXPECT_EQ(decision(R"({"role":"assistant","content":null})"), Decision::open);
  EXPECT_EQ(decision(R"({"reasoning_content":"hm"})"), Decision::open);
  EXPECT_EQ(decision(R"({"content":"a"})"), Decision::text);
  EXPECT_EQ(decision(R"({"tool_calls":[{"index":0}]})"), Decision::call);
  EXPECT_EQ(decision("{}", R"("stop")"), Decision::text);
}

TEST(LlamaChatReply, SaysTextReasoningAndReason) {
  FixedIds ids;
  const ChatPlan plan = plan_chat(object(R"({"messages":[{"role":"user","content":"hi"}]})"), able());
  const Delta choice = read_chat_choice(
      plan,
      object(R"({"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":"yes",
            "reasoning_content":"hm"}}]})"),
      3, ids);
  EXPECT_EQ(describe(choice), read(R"({"choice":3,"text":"yes","reasoning":"hm","finish":"stop"})"));
}

constexpr std::string_view called =
    R"({"choices":[{"finish_reason":"tool_calls","index":0,"message":{"role":"assistant",
    "content":"","tool_calls":[{"type":"function","id":"","function":{"name":"look","arguments":"{}"}},
    {"type":"function","id":"x","function":{"name":"wait","arguments":"{}"}}]}}]})";

TEST(LlamaChatReply, GivesCallsIdsAndCutsThemToOne) {
  FixedIds ids;
  const ChatPlan plan =
      plan_chat(object(std::string(two_tools) + R"(,"parallel_tool_calls":false})"), able());
  const Delta choice = read_chat_choice(plan, object(called), 0, ids);
  EXPECT_EQ(describe(choice), read(R"({"choice":0,"calls":[{"index":0,"id":"call_1","name":"look",
      "arguments":"{}"}],"finish":"tool_calls"})"));
}

TEST(LlamaChatReply, SpeaksTheOlderWordsForFunctions) {
  FixedIds ids;
  const ChatPlan plan = plan_chat(
      object(R"({"messages":[{"role":"user","content":"hi"}],"functions":[{"name":"look"}]})"), able());
  EXPECT_EQ(describe(read_chat_choice(plan, object(called), 0, ids)),
            read(R"({"choice":0,"calls":[{"index":0,"style":"functions","name":"look","arguments":"{}"}],
                "finish":"function_call"})"));
}

TEST(LlamaChatReply, AStreamBeginsAndEndsWithTheReason) {
  FixedIds ids;
  const ChatPlan plan =
      plan_chat(object(R"({"messages":[{"role":"user","content":"hi"}],"logprobs":true})"), able());
  ChatReader reader(plan, 2, ids);
  const auto feed = [&](std::string_view chunk) {
    DeltaBuffer out;
    reader.feed(object(chunk), out);
    json::array described;
    for (const Delta& delta : out.view())
      described.push_back(describe(delta));
    return json::value(described);
  };
  EXPECT_EQ(
      feed(R"({"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}]})"),
      read(R"([{"choice":2,"logprobs":{"text":[]}}])"));
  EXPECT_EQ(feed(R"({"choices":[{"finish_reason":null,"index":0,"delta":{"content":"yes"},"logprobs":{
      "content":[{"id":1,"token":"yes","bytes":[121,101,115],"logprob":-0.5,"top_logprobs":[
      {"id":1,"token":"yes","bytes":[121,101,115],"logprob":-0.5}]}]}}]})"),
            read(R"([{"choice":2,"text":"yes","logprobs":{"text":[{"token":"yes","offset":0,"logprob":-0.5,
                "bytes":"yes","alternatives":[]}]}}])"))
      << "no alternatives were asked for";
  EXPECT_EQ(feed(R"({"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"hm"}}]})"),
            read(R"([{"choice":2,"reasoning":"hm"}])"));
  EXPECT_EQ(feed(R"({"choices":[{"finish_reason":"length","index":0,"delta":{}}]})"),
            read(R"([{"choice":2,"finish":"length"}])"));
  EXPECT_TRUE(reader.finished());
  EXPECT_EQ(feed(R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}})"), read("[]"));
  EXPECT_EQ(reader.usage().completion, 4);
}

TEST(LlamaChatReply, StreamsPiecesOfCalls) {
  FixedIds ids;
  const ChatPlan plan =
      plan_chat(object(std::string(two_tools) + R"(,"parallel_tool_calls":false})"), able());
  ChatReader reader(plan, 0, ids);
  DeltaBuffer out;
  reader.feed(
      object(R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"look"}}]}}]})"),
      out);
  reader.feed(object(R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}},
      {"index":1,"function":{"name":"wait"}}]}}]})"),
              out);
  ASSERT_EQ(out.view().size(), 3u);
  EXPECT_EQ(describe(out.view()[1]),
            read(R"({"choice":0,"calls":[{"index":0,"id":"call_1","name":"look"}]})"));
  EXPECT_EQ(describe(out.view()[2]), read(R"({"choice":0,"calls":[{"index":0,"arguments":"{"}]})"))
      << "one call was allowed";
}

TEST(LlamaChatReply, SplitsAWholeAnswer) {
  FixedIds ids;
  const ChatPlan plan = plan_chat(object(std::string(two_tools) + "}"), able());
  const auto deltas = split_choice(read_chat_choice(plan, object(called), 1, ids));
  ASSERT_EQ(deltas.size(), 4u);
  EXPECT_EQ(describe(deltas[0]), read(R"({"choice":1})"));
  EXPECT_EQ(deltas[2].calls.at(0).index, 1u);
  EXPECT_EQ(describe(deltas[3]), read(R"({"choice":1,"finish":"tool_calls"})"));
}

TEST(LlamaChatReply, AForcedCallIsToldInPieces) {
  FixedIds ids;
  const ChatPlan plan =
      plan_chat(object(std::string(two_tools) + R"(,"tool_choice":"required","logprobs":true})"), able());
  Delta begin;
  begin_forced(plan, "look", ids, begin);
  EXPECT_EQ(describe(begin),
            read(R"({"choice":0,"calls":[{"index":0,"id":"call_1","name":"look"}],"logprobs":{}})"));
  Delta piece;
  add_forced_piece(plan, "{\"a\"", piece);
  EXPECT_EQ(describe(piece), read(R"({"choice":0,"calls":[{"index":0,"arguments":"{\"a\""}]})"));
  EXPECT_EQ(
      describe(read_forced_choice(
          plan, "look", object(R"({"content":"{\"name\":\"look\",\"arguments\":{}}","stop_type":"eos"})"), 3,
          ids)),
      read(
          R"({"choice":3,"calls":[{"index":0,"id":"call_2","name":"look","arguments":"{}"}],"logprobs":{},"finish":"tool_calls"})"));
  EXPECT_EQ(forced_finish(plan, object(R"({"stop_type":"limit"})")), FinishReason::length);
}

TEST(LlamaErrors, SpeakTheApisWords) {
  const ApiError long_prompt = error_from_reply(
      400, R"({"error":{"code":400,"message":"request (40 tokens) exceeds","type":"exceed_context_size_error",
              "n_prompt_tokens":40,"n_ctx":16}})",
      Asked::chat);
  EXPECT_EQ(long_prompt.code(), "context_length_exceeded");
  EXPECT_EQ(long_prompt.param(), "messages");
  EXPECT_NE(long_prompt.message().find("16 tokens"), std::string::npos);
  EXPECT_EQ(
      error_from_reply(
          500,
          R"({"error":{"code":500,"message":"input (9 tokens) is too large to process.","type":"server_error"}})",
          Asked::embedding)
          .param(),
      "input");
  EXPECT_EQ(
      error_from_reply(
          400,
          R"({"error":{"code":400,"message":"Prompt contains invalid tokens","type":"invalid_request_error"}})",
          Asked::completion)
          .param(),
      "prompt");
  EXPECT_EQ(
      error_from_reply(
          501, R"({"error":{"code":501,"message":"Infill is not supported","type":"not_supported_error"}})",
          Asked::infill)
          .param(),
      "suffix");
  const ApiError schema = error_from_reply(
      400,
      R"({"error":{"code":400,"message":"Failed: JSON schema error at #: unrecognized type x","type":"invalid_request_error"}})",
      Asked::chat);
  EXPECT_EQ(schema.param(), "response_format");
  EXPECT_EQ(error_from_reply(500, "Segmentation fault at 0x1", Asked::chat).status(), 500);
  EXPECT_EQ(error_from_reply(500, "Segmentation fault at 0x1", Asked::chat).message().find("0x1"),
            std::string::npos);
  EXPECT_EQ(
      error_from_reply(503, R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})",
                       Asked::chat)
          .status(),
      503);
}

constexpr std::string_view generated =
    R"({"content":" cat","stop_type":"limit","tokens_evaluated":3,"tokens_predicted":2,
    "completion_probabilities":[{"id":1,"token":" cat","bytes":[32,99,97,116],"logprob":-1.5,"top_logprobs":[
    {"id":2,"token":"","bytes":[230],"logprob":-0.1},{"id":1,"token":" cat","bytes":[32,99,97,116],"logprob":-1.5}]},
    {"id":9,"token":"","bytes":[],"logprob":-2.0,"top_logprobs":[]}]})";

TEST(LlamaCompletion, ListsTheTokensWithTheirPlaces) {
  const CompletionPlan plan = plan_completion(object(R"({"prompt":"The","logprobs":1})"), able());
  const Generated text = read_generated(plan, object(generated), {});
  EXPECT_EQ(
      describe(text.delta),
      read(R"({"choice":0,"text":" cat","finish":"length","logprobs":{"text":[{"token":" cat","offset":0,
                "logprob":-1.5,"alternatives":[{"token":"bytes:\\xe6","logprob":-0.1},{"token":" cat","logprob":-1.5}]}]}})"));
}

TEST(LlamaCompletion, EchoesThePromptInFront) {
  const CompletionPlan plan = plan_completion(object(R"({"prompt":"Ünd","logprobs":0,"echo":true})"), able());
  PromptEcho echo{.text = "Ünd",
                  .tokens = {{.id = 1, .bytes = "Ü", .probability = {}},
                             {.id = 2, .bytes = "nd", .probability = object(R"({"logprob":-3})")}}};
  const Generated text = read_generated(plan, object(generated), echo);
  EXPECT_EQ(describe(text.delta), read(R"({"choice":0,"text":"Ünd cat","finish":"length","logprobs":{"text":[
                {"token":"Ü","offset":0,"logprob":null},{"token":"nd","offset":1,"logprob":-3E0,"alternatives":[]},
                {"token":" cat","offset":3,"logprob":-1.5,"alternatives":[]}]}})"));
}

TEST(LlamaCompletion, AStreamTellsTheSameLogprobs) {
  const CompletionPlan plan = plan_completion(object(R"({"prompt":"The","logprobs":1})"), able());
  CompletionReader reader(plan, 1);
  DeltaBuffer out;
  reader.feed(object(R"({"content":"a","completion_probabilities":[{"bytes":[97],"logprob":-1}]})"), out);
  reader.feed(object(R"({"content":"","completion_probabilities":[{"bytes":[98],"logprob":-2}]})"), out);
  reader.feed(object(R"({"content":"","stop_type":"eos","tokens_predicted":2})"), out);
  ASSERT_EQ(out.view().size(), 2u);
  EXPECT_EQ(out.view()[0].logprobs->text->at(0).token, "a");
  EXPECT_EQ(out.view()[1].logprobs->text->at(0).offset, 1) << "what came without text is not lost";
  EXPECT_EQ(out.view()[1].finish, FinishReason::stop);
  EXPECT_EQ(reader.usage().completion, 2);

  CompletionReader silent(plan, 0);
  DeltaBuffer nothing;
  silent.end_without_text(nothing);
  EXPECT_EQ(describe(nothing.view()[0]), read(R"({"choice":0,"finish":"length","logprobs":{"text":[]}})"));
}

TEST(LlamaCompletion, KeepsTheLikeliest) {
  const CompletionPlan plan = plan_completion(object(R"({"prompt":["a","b"],"n":2,"best_of":3})"), able());
  EXPECT_EQ(plan.calls(), 6u);
  EXPECT_EQ(render_completion_call(plan, 5, Delivery::whole).at("prompt"), "b");
  EXPECT_EQ(render_completion_call(plan, 5, Delivery::whole).at("n_probs"), 1);
  std::vector<Delta> choices;
  const auto text = [](std::string name, double mean) {
    Generated out{.mean_logprob = mean};
    out.delta.text = std::move(name);
    return out;
  };
  add_choices(plan, 1, {text("worst", -9), text("best", -1), text("good", -2)}, choices);
  ASSERT_EQ(choices.size(), 2u);
  EXPECT_EQ(choices[0].text, "best");
  EXPECT_EQ(choices[0].choice, 2u);
  EXPECT_EQ(choices[1].text, "good");
}

TEST(LlamaCompletion, ReadsEveryKindOfPrompt) {
  EXPECT_EQ(plan_completion(object(R"({"prompt":[1,2]})"), able()).prompts.size(), 1u);
  EXPECT_EQ(plan_completion(object(R"({"prompt":[[1],[2]]})"), able()).prompts.size(), 2u);
  const CompletionPlan fresh = plan_completion(object(R"({"prompt":null})"), able());
  EXPECT_EQ(render_completion_call(fresh, 0, Delivery::whole).at("prompt"), "<end>");
  const CompletionPlan gap = plan_completion(object(R"({"prompt":"a","suffix":"b"})"), able());
  EXPECT_EQ(completion_path(gap), "/infill");
  EXPECT_EQ(render_completion_call(gap, 0, Delivery::whole).at("input_suffix"), "b");
  EXPECT_EQ(refusal([] { plan_completion(object(R"({"prompt":[1],"suffix":"b"})"), able()); }),
            Refusal("unsupported_value", "prompt"));
}

TEST(LlamaEmbedding, CutsAndScales) {
  const float values[] = {3.0F, 4.0F, 12.0F};
  json::object item;
  item["embedding"] = text::encode_base64(std::as_bytes(std::span(values)));
  json::object reply;
  reply["data"] = json::array{item};
  reply["usage"] = object(R"({"prompt_tokens":5,"total_tokens":5})");
  const json::object cut = render_embedding_reply(object(R"({"dimensions":2})"), reply);
  EXPECT_NEAR(cut.at("data").at(0).at("embedding").at(0).to_number<double>(), 0.6, 1e-6);
  EXPECT_EQ(cut.at("data").at(0).at("embedding").get_array().size(), 2u);
  EXPECT_EQ(cut.at("usage").at("total_tokens"), 5);
  const json::object coded = render_embedding_reply(object(R"({"encoding_format":"base64"})"), reply);
  EXPECT_EQ(coded.at("data").at(0).at("embedding"), item["embedding"]);
  EXPECT_EQ(refusal([&] { render_embedding_reply(object(R"({"dimensions":4})"), reply); }),
            Refusal("invalid_value", "dimensions"));
}

}  // namespace
}  // namespace hearth::engine::llama
