// What the real llama-server says on the tiny model that the tests write, rendered: the contract is
// satisfied. HEARTH_LLAMA_SERVER and HEARTH_TINY_MODEL name both; without them these tests say that they were
// skipped.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <thread>

#include <gtest/gtest.h>

#include "async/deadline.hpp"
#include "async/runtime.hpp"
#include "base/api_error.hpp"
#include "base/text.hpp"
#include "contract/schemas.hpp"
#include "contract/validator.hpp"
#include "domain/generation/generation_stream.hpp"
#include "engine/llama/backend.hpp"
#include "engine/llama/launch.hpp"
#include "engine/process/child_process.hpp"

namespace hearth::domain {
namespace {

using namespace engine;
using namespace std::chrono_literals;
using contract::SchemaId;

json::object object(std::string_view text) {
  return json::parse(text).value().get_object();
}

CallContext call_for(std::chrono::seconds limit = 30s) {
  return CallContext("test", std::chrono::steady_clock::now() + limit);
}

// The contract's verdict.
void expect_valid(SchemaId schema, const json::object& reply) {
  const auto violation = contract::validate(schema, json::value(reply), contract::Strictness::reply);
  EXPECT_FALSE(violation) << violation->param << ": " << violation->message << "\n"
                          << json::write(json::value(reply));
}

ReplyStamp stamp() {
  return {.id = "x-1", .created = 1, .model = "tiny"};
}

class LlamaRepliesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* program = std::getenv("HEARTH_LLAMA_SERVER");
    const char* model = std::getenv("HEARTH_TINY_MODEL");
    if (!program || !model) return;
    if (const char* projector = std::getenv("HEARTH_TINY_PROJECTOR")) projector_ = projector;
    folder_ = std::filesystem::temp_directory_path() / ("hearth-llama-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    const std::string socket = folder_ / "engine.sock";
    LlamaLaunch launch{
        .program = program,
        .socket_path = socket,
        .log_file = folder_ / "engine.log",
        .spec = LlamaSpec{.file = model, .projector = projector_, .context = 1024, .slots = 2, .threads = 1},
        .file = read_gguf_info(model).value(),
        .capabilities = {Capability::chat, Capability::completion, Capability::embedding}};
    runtime_ = std::make_unique<async::Runtime>(1);
    host_ = std::make_unique<ChildHost>();
    child_ = host_->start(make_child_spec(launch), [](const ChildExit&) {});
    backend_ = make_llama_backend(net::Origin{.scheme = "unix", .host = socket, .port = 0}, "tiny",
                                  launch.capabilities);
    for (int i = 0; i < 200 && !ready_; ++i) {
      std::this_thread::sleep_for(50ms);
      run([]() -> Task<void> {
        CallContext call = call_for(5s);
        try {
          co_await backend_->probe(call);
          ready_ = true;
        } catch (const ApiError&) {
          ready_ = false;  // not listening yet
        }
      }());
    }
  }

  static void TearDownTestSuite() {
    backend_.reset();  // its connections live on the runtime
    runtime_.reset();
    child_.reset();
    host_.reset();
    ready_ = false;
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  void SetUp() override {
    if (!child_) GTEST_SKIP() << "HEARTH_LLAMA_SERVER and HEARTH_TINY_MODEL are not set";
    ASSERT_TRUE(ready_) << child_->last_lines();
  }

  static void run(Task<void> task) { runtime_->run_until_complete(std::move(task)); }

  static json::object chat(std::string_view request) {
    json::object reply;
    ask(request, Delivery::whole, ReplyKind::chat, [&reply](DeltaStream& deltas) -> Task<void> {
      const Gathered gathered = co_await gather(deltas);
      reply = render_chat(stamp(), deltas.fingerprint(), gathered, deltas.usage());
    });
    expect_valid(SchemaId::create_chat_completion_response, reply);
    return reply;
  }
  static json::object complete(std::string_view request) {
    json::object reply;
    ask(request, Delivery::whole, ReplyKind::completion, [&reply](DeltaStream& deltas) -> Task<void> {
      const Gathered gathered = co_await gather(deltas);
      reply = render_completion(stamp(), deltas.fingerprint(), gathered, deltas.usage());
    });
    expect_valid(SchemaId::create_completion_response, reply);
    return reply;
  }
  static json::object embed(std::string_view request) {
    json::object reply;
    const json::object parsed = object(request);
    run([](const json::object& body, json::object& out) -> Task<void> {
      CallContext context = call_for();
      out = co_await backend_->embedding()->embed(body, context);
    }(parsed, reply));
    return reply;
  }

  static std::vector<json::object> stream_chat(std::string_view request) {
    auto chunks = chunks_of(request, ReplyKind::chat);
    for (const auto& chunk : chunks)
      expect_valid(SchemaId::create_chat_completion_stream_response, chunk);
    return chunks;
  }
  static std::vector<json::object> stream_complete(std::string_view request) {
    auto chunks = chunks_of(request, ReplyKind::completion);
    for (const auto& chunk : chunks)
      expect_valid(SchemaId::create_completion_stream_response, chunk);
    return chunks;
  }

  static Task<std::unique_ptr<DeltaStream>> begin(const json::object& body, Delivery delivery, ReplyKind kind,
                                                  CallContext& context) {
    if (kind == ReplyKind::chat) return backend_->chat()->chat(body, delivery, context);
    return backend_->completion()->complete(body, delivery, context);
  }
  // `read(deltas)` of what the engine says.
  template <class Read>
  static void ask(std::string_view request, Delivery delivery, ReplyKind kind, Read read) {
    const json::object parsed = object(request);
    run([](const json::object& body, Delivery how, ReplyKind what, Read& use) -> Task<void> {
      CallContext context = call_for();
      const auto deltas = co_await begin(body, how, what, context);
      co_await use(*deltas);
    }(parsed, delivery, kind, read));
  }
  static Task<Gathered> gather(DeltaStream& deltas) {
    Gathered gathered;
    while (const Delta* delta = co_await deltas.next())
      gathered.add(*delta);
    co_return gathered;
  }
  static std::vector<json::object> chunks_of(std::string_view request, ReplyKind kind) {
    std::vector<json::object> chunks;
    const json::object parsed = object(request);
    run([](const json::object& body, ReplyKind what, std::vector<json::object>& out) -> Task<void> {
      CallContext context = call_for();
      auto deltas = co_await begin(body, Delivery::streamed, what, context);
      GenerationStream stream(nullptr, std::move(deltas),
                              {.kind = what, .stamp = stamp(), .usage = GenerationStream::Usage::included},
                              context.used());
      while (const json::value* chunk = co_await stream.next())
        out.emplace_back(chunk->as_object(), boost::json::storage_ptr());
    }(parsed, kind, chunks));
    return chunks;
  }

  static std::pair<std::string, std::string> refusal(auto act) {
    try {
      act();
    } catch (const ApiError& error) {
      return {error.code().value_or(""), error.param().value_or("")};
    }
    return {"", "nothing was thrown"};
  }

  static inline std::filesystem::path projector_;
  static inline std::filesystem::path folder_;
  static inline std::unique_ptr<async::Runtime> runtime_;
  static inline std::unique_ptr<ChildHost> host_;
  static inline std::unique_ptr<ChildProcess> child_;
  static inline std::unique_ptr<Backend> backend_;
  static inline bool ready_ = false;
};

using Refusal = std::pair<std::string, std::string>;

std::string joined_text(const std::vector<json::object>& chunks, std::int64_t index) {
  std::string out;
  for (const json::object& chunk : chunks) {
    for (const json::value& choice : chunk.at("choices").get_array()) {
      if (choice.at("index") != index) continue;
      const json::object* delta = json::find_object(choice.get_object(), "delta");
      out += json::find_string(delta ? *delta : choice.get_object(), delta ? "content" : "text").value_or("");
    }
  }
  return out;
}

TEST_F(LlamaRepliesTest, Chats) {
  const json::object reply =
      chat(R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":12,"seed":1})");
  EXPECT_FALSE(reply.at("choices").at(0).at("message").at("content").get_string().empty());
  EXPECT_TRUE(reply.at("choices").at(0).at("logprobs").is_null());
  EXPECT_EQ(
      json::value(
          chat(R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":12,"seed":1})").at("choices")),
      reply.at("choices"))
      << "the same seed, the same text";
}

TEST_F(LlamaRepliesTest, MakesMoreChoicesThanSlotsAndCountsThemAll) {
  const json::object one = chat(R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":4})");
  const json::object five = chat(R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":4,"n":5})");
  ASSERT_EQ(five.at("choices").get_array().size(), 5u);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(five.at("choices").at(i).at("index"), i);
  EXPECT_EQ(five.at("usage").at("prompt_tokens"), one.at("usage").at("prompt_tokens"));
  EXPECT_EQ(five.at("usage").at("completion_tokens"), 20);
}

TEST_F(LlamaRepliesTest, StreamsChoicesAndEndsWithUsage) {
  const auto chunks = stream_chat(
      R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":6,"n":3,"temperature":0,"stream":true})");
  const json::object whole =
      chat(R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":6,"temperature":0})");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(joined_text(chunks, i), whole.at("choices").at(0).at("message").at("content").get_string());
  EXPECT_TRUE(chunks.back().at("choices").get_array().empty());
  EXPECT_EQ(chunks.back().at("usage").at("completion_tokens"), 18);
}

TEST_F(LlamaRepliesTest, GivesLogprobs) {
  const json::object reply = chat(
      R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":3,"logprobs":true,"top_logprobs":2})");
  const json::array& tokens = reply.at("choices").at(0).at("logprobs").at("content").get_array();
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_EQ(tokens[0].at("top_logprobs").get_array().size(), 2u);
  const auto chunks = stream_chat(
      R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":3,"logprobs":true,"stream":true})");
  EXPECT_EQ(chunks[1].at("choices").at(0).at("logprobs").at("content").get_array().size(), 1u);
}

constexpr std::string_view tools =
    R"({"messages":[{"role":"user","content":"weather?"}],"max_tokens":400,"tools":[
  {"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{
    "unit":{"enum":["c","f"]},"days":{"type":"integer"},"at":{"$ref":"#/$defs/place"}},"required":["unit","days","at"],
    "additionalProperties":false,"$defs":{"place":{"enum":["here","there"]}}}}},
  {"type":"function","function":{"name":"get_time"}}])";

void expect_call(std::string_view name, std::string_view arguments) {
  const json::object parsed = object(arguments);
  if (name == "get_time") {
    EXPECT_TRUE(parsed.empty()) << arguments;
  } else {
    ASSERT_EQ(name, "get_weather");
    EXPECT_TRUE(parsed.at("days").is_int64()) << arguments;
    EXPECT_TRUE(parsed.at("at") == "here" || parsed.at("at") == "there") << arguments;
  }
}

TEST_F(LlamaRepliesTest, ForcesToolCalls) {
  const json::object any = chat(std::string(tools) + R"(,"tool_choice":"required","n":3})");
  for (const json::value& choice : any.at("choices").get_array()) {
    EXPECT_EQ(choice.at("finish_reason"), "tool_calls");
    const json::value& function = choice.at("message").at("tool_calls").at(0).at("function");
    expect_call(json::view(function.at("name").get_string()),
                json::view(function.at("arguments").get_string()));
  }
  const json::object named =
      chat(std::string(tools) + R"(,"tool_choice":{"type":"function","function":{"name":"get_weather"}}})");
  EXPECT_EQ(named.at("choices").at(0).at("message").at("tool_calls").at(0).at("function").at("name"),
            "get_weather");
  EXPECT_EQ(named.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_GT(named.at("usage").at("completion_tokens").to_number<int>(), 5);
}

TEST_F(LlamaRepliesTest, StreamsForcedToolCalls) {
  const auto chunks = stream_chat(std::string(tools) + R"(,"tool_choice":"required","stream":true})");
  const json::value& first = chunks.front().at("choices").at(0).at("delta");
  EXPECT_EQ(first.at("role"), "assistant");
  const json::value& begun = first.at("tool_calls").at(0);
  EXPECT_TRUE(std::string_view(begun.at("id").get_string()).starts_with("call_"));
  std::string arguments;
  for (const json::object& chunk : chunks) {
    if (chunk.at("choices").get_array().empty()) continue;
    const json::object& delta = chunk.at("choices").at(0).at("delta").get_object();
    if (const json::array* calls = json::find_array(delta, "tool_calls"))
      arguments += json::view(calls->at(0).at("function").at("arguments").get_string());
  }
  expect_call(json::view(begun.at("function").at("name").get_string()), arguments);
  EXPECT_EQ(chunks[chunks.size() - 2].at("choices").at(0).at("finish_reason"), "tool_calls");
}

TEST_F(LlamaRepliesTest, ForcesTheOlderFunctionCall) {
  const json::object reply =
      chat(R"({"messages":[{"role":"user","content":"hi"}],"functions":[{"name":"look"}],
      "function_call":{"name":"look"}})");
  EXPECT_EQ(json::value(reply.at("choices").at(0).at("message").at("function_call")),
            json::value(object(R"({"name":"look","arguments":"{}"})")));
}

TEST_F(LlamaRepliesTest, LetsTheModelDecideAboutTools) {
  const json::object reply = chat(std::string(tools) + R"(,"tool_choice":"auto","logprobs":true})");
  stream_chat(std::string(tools) + R"(,"logprobs":true,"stream":true})");
  stream_chat(std::string(tools) + R"(,"stream":true})");
}

TEST_F(LlamaRepliesTest, LetsTheModelChooseBetweenToolsAndAFormat) {
  const std::string request = std::string(tools) + R"(,"response_format":{"type":"json_object"})";
  const json::object reply = chat(request + R"(,"logprobs":true})");
  object(json::view(reply.at("choices").at(0).at("message").at("content").get_string()));  // it is JSON
  object(joined_text(stream_chat(request + R"(,"stream":true,"n":2})"), 1));
}

TEST_F(LlamaRepliesTest, HoldsToTheSchema) {
  const json::object reply =
      chat(R"({"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema",
      "json_schema":{"name":"x","strict":true,"schema":{"type":"object","properties":{"n":{"type":"integer"},
      "ok":{"type":"boolean"}},"required":["n","ok"],"additionalProperties":false}}}})");
  const json::object answer =
      object(json::view(reply.at("choices").at(0).at("message").at("content").get_string()));
  EXPECT_TRUE(answer.at("n").is_int64());
  EXPECT_TRUE(answer.at("ok").is_bool());
  const json::object any = chat(
      R"({"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_object"},"temperature":0})");
  EXPECT_FALSE(object(json::view(any.at("choices").at(0).at("message").at("content").get_string())).empty());
}

// What check_strict_schema() takes is what the engine keeps.
TEST_F(LlamaRepliesTest, KeepsEveryRuleOfAStrictSchema) {
  const json::object reply =
      chat(R"({"messages":[{"role":"user","content":"hi"}],"n":4,"seed":3,"max_tokens":400,
      "response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object",
      "properties":{"code":{"type":"string","pattern":"^[A-Z]{2}\\.(?:[0-9]{3}|none)$"},
      "day":{"type":"string","format":"date"},"name":{"type":"string","minLength":2,"maxLength":4},
      "big":{"type":"integer","minimum":100,"maximum":2000},"low":{"type":"integer","minimum":-20,"maximum":-11},
      "list":{"type":"array","items":{"$ref":"#/$defs/kind"},"minItems":2,"maxItems":3}},
      "required":["code","day","name","big","low","list"],"additionalProperties":false,
      "$defs":{"kind":{"anyOf":[{"const":"x"},{"type":"null"}]}}}}}})");
  for (const json::value& choice : reply.at("choices").get_array()) {
    const json::object answer = object(json::view(choice.at("message").at("content").get_string()));
    EXPECT_THAT(std::string(answer.at("code").as_string()),
                testing::MatchesRegex("[A-Z][A-Z]\\.([0-9][0-9][0-9]|none)"));
    EXPECT_EQ(answer.at("day").as_string().size(), 10u);
    const std::size_t length = text::count_code_points(json::view(answer.at("name").as_string()));
    EXPECT_TRUE(length >= 2 && length <= 4) << length;
    EXPECT_TRUE(answer.at("big").as_int64() >= 100 && answer.at("big").as_int64() <= 2000);
    EXPECT_TRUE(answer.at("low").as_int64() >= -20 && answer.at("low").as_int64() <= -11);
    const json::array& list = answer.at("list").as_array();
    EXPECT_TRUE(list.size() == 2 || list.size() == 3);
    for (const json::value& item : list)
      EXPECT_TRUE(item.is_null() || item == "x");
  }
}

TEST_F(LlamaRepliesTest, SaysWhatIsWrong) {
  const std::string words = R"({"messages":[{"role":"user","content":")" + std::string(9000, 'x') + R"("}]})";
  EXPECT_EQ(refusal([&] { chat(words); }), Refusal("context_length_exceeded", "messages"));
  EXPECT_EQ(refusal([&] { chunks_of(words, ReplyKind::chat); }),
            Refusal("context_length_exceeded", "messages"));
  EXPECT_EQ(refusal([] { complete(R"({"prompt":[999999]})"); }), Refusal("invalid_value", "prompt"));
  EXPECT_EQ(refusal([] { embed(R"({"input":[999999]})"); }), Refusal("invalid_value", "input"));
  EXPECT_EQ(refusal([] { embed(R"({"input":"x","dimensions":9999})"); }),
            Refusal("invalid_value", "dimensions"));
  EXPECT_EQ(refusal([] {
              chat(R"({"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema",
                  "json_schema":{"name":"x","schema":{"type":"blub"}}}})");
            }),
            Refusal("invalid_value", "response_format"));
}

TEST_F(LlamaRepliesTest, CompletesText) {
  const json::object reply =
      complete(R"({"prompt":["The cat","One robot"],"n":2,"max_tokens":4,"logprobs":2})");
  ASSERT_EQ(reply.at("choices").get_array().size(), 4u);
  EXPECT_EQ(reply.at("choices").at(0).at("logprobs").at("tokens").get_array().size(), 4u);
  EXPECT_EQ(reply.at("usage").at("completion_tokens"), 16);
  EXPECT_EQ(reply.at("usage").at("prompt_tokens"), 6);  // two words each, and the token that starts a text
  const json::object best = complete(R"({"prompt":"The cat","best_of":4,"max_tokens":4})");
  EXPECT_EQ(best.at("usage").at("completion_tokens"), 16);
  EXPECT_EQ(best.at("choices").get_array().size(), 1u);
  EXPECT_TRUE(best.at("choices").at(0).at("logprobs").is_null());
}

TEST_F(LlamaRepliesTest, EchoesWithTheProbabilitiesOfThePrompt) {
  const json::object reply =
      complete(R"({"prompt":"The cat sings","echo":true,"logprobs":1,"max_tokens":1,"temperature":0})");
  const json::value& logprobs = reply.at("choices").at(0).at("logprobs");
  ASSERT_EQ(logprobs.at("tokens").get_array().size(), 4u);
  EXPECT_EQ(logprobs.at("tokens").at(1), " cat");
  EXPECT_TRUE(logprobs.at("token_logprobs").at(0).is_null());
  EXPECT_LT(logprobs.at("token_logprobs").at(1).to_number<double>(), 0);
  EXPECT_EQ(logprobs.at("text_offset").at(3), 13);
  const json::object only = complete(R"({"prompt":"The cat","echo":true,"max_tokens":0})");
  EXPECT_EQ(only.at("choices").at(0).at("text"), "The cat");
  EXPECT_EQ(only.at("usage").at("completion_tokens"), 0);
  const json::object tokens = complete(R"({"prompt":[84,104,101],"echo":true,"max_tokens":0})");
  EXPECT_EQ(tokens.at("choices").at(0).at("text"), "The");
}

TEST_F(LlamaRepliesTest, StreamsText) {
  const auto chunks = stream_complete(
      R"({"prompt":"The cat","n":3,"max_tokens":5,"echo":true,"temperature":0,"logprobs":1,"stream":true})");
  const json::object whole = complete(R"({"prompt":"The cat","max_tokens":5,"echo":true,"temperature":0})");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(joined_text(chunks, i), whole.at("choices").at(0).at("text").get_string());
  EXPECT_EQ(chunks.back().at("usage").at("completion_tokens"), 15);
  EXPECT_EQ(joined_text(stream_complete(R"({"prompt":"A","max_tokens":0,"echo":true,"stream":true})"), 0),
            "A");
}

TEST_F(LlamaRepliesTest, FillsGaps) {
  const json::object reply = complete(R"({"prompt":"The cat","suffix":" at night.","max_tokens":6})");
}

TEST_F(LlamaRepliesTest, StopsAtStopSequences) {
  const json::object reply =
      complete(R"({"prompt":"The cat","max_tokens":60,"temperature":0,"stop":[".","!","?"]})");
  const std::string_view text = json::view(reply.at("choices").at(0).at("text").get_string());
  EXPECT_EQ(text.find_first_of(".!?"), std::string_view::npos);
  EXPECT_EQ(reply.at("choices").at(0).at("finish_reason"), "stop");
}

TEST_F(LlamaRepliesTest, Embeds) {
  json::object reply = embed(R"({"input":["The cat","The dog"],"dimensions":32})");
  EXPECT_EQ(reply.at("data").at(0).at("embedding").get_array().size(), 32u);
  reply["model"] = "tiny";
  const auto violation = contract::validate(SchemaId::create_embedding_response, json::value(reply),
                                            contract::Strictness::reply);
  EXPECT_FALSE(violation) << violation->param << ": " << violation->message;
  const json::object coded = embed(R"({"input":[70,71],"encoding_format":"base64"})");
  EXPECT_TRUE(coded.at("data").at(0).at("embedding").is_string());
}

TEST_F(LlamaRepliesTest, AStreamGivenUpStopsTheEngine) {
  run([]() -> Task<void> {
    const json::object request = object(
        R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":900,"n":2,"logit_bias":{"46":100},"stream":true})");
    CallContext call = call_for();
    for (int i = 0; i < 4; ++i) {
      auto stream = co_await backend_->chat()->chat(request, Delivery::streamed, call);
      EXPECT_TRUE(co_await stream->next());
    }
    // Both slots would be busy for long, were the four streams still running.
    const auto begun = std::chrono::steady_clock::now();
    co_await backend_->chat()->chat(object(R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":1})"),
                                    Delivery::whole, call);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  }());
}

TEST_F(LlamaRepliesTest, ATimeLimitEndsTheCall) {
  run([]() -> Task<void> {
    CallContext call("test", std::chrono::steady_clock::now() + 1ms);
    const json::object request = object(R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":900,
        "logit_bias":{"46":100}})");
    bool timed_out = false;
    try {
      co_await backend_->chat()->chat(request, Delivery::whole, call);
    } catch (const ApiError& error) {
      timed_out = error.status() == 504;
    }
    EXPECT_TRUE(timed_out);
  }());
}

constexpr std::string_view pixels =
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAKElEQVR4nA3HoQEAAAzCMCQS2XN7+haXJDYuEpPauko/s3OTfbA4BA/"
    "l9AmBTZ2urAAAAABJRU5ErkJggg==";

std::string showing(std::string_view base64, std::string_view more = "") {
  return std::string(R"({"messages":[{"role":"user","content":[{"type":"text","text":"What?"},
      {"type":"image_url","image_url":{"url":"data:image/png;base64,)") +
         std::string(base64) + R"("}}]}],"max_tokens":200)" + std::string(more) + "}";
}

TEST_F(LlamaRepliesTest, LooksAtImages) {
  if (projector_.empty()) GTEST_SKIP() << "no image projector for the tiny model";
  const json::object blind = chat(R"({"messages":[{"role":"user","content":"What?"}],"max_tokens":4})");
  const json::object seeing = chat(showing(pixels));
  EXPECT_GE(seeing.at("usage").at("prompt_tokens").to_number<int>(),
            blind.at("usage").at("prompt_tokens").to_number<int>() + 16);
  const json::object call = chat(showing(
      pixels, R"(,"tools":[{"type":"function","function":{"name":"look"}}],"tool_choice":"required")"));
  EXPECT_EQ(call.at("choices").at(0).at("message").at("tool_calls").at(0).at("function").at("name"), "look");
  EXPECT_EQ(refusal([] { chat(showing("AAAA")); }), Refusal("invalid_image", "messages"));
}

// A suite of its own, with an engine of its own.
class LlamaRepliesDeathTest : public LlamaRepliesTest {};

TEST_F(LlamaRepliesDeathTest, AnEngineThatDiesNeverEndsAStreamCleanly) {
  run([]() -> Task<void> {
    const json::object request = object(
        R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":900,"n":2,"logit_bias":{"46":100}})");
    CallContext call = call_for();
    auto stream = co_await backend_->chat()->chat(request, Delivery::streamed, call);
    EXPECT_TRUE(co_await stream->next());
    child_->send(SIGKILL);
    int status = 0;
    try {
      while (co_await stream->next()) {
      }
    } catch (const ApiError& error) {
      status = error.status();
    }
    EXPECT_EQ(status, 503);
    try {
      co_await backend_->chat()->chat(request, Delivery::whole, call);
    } catch (const ApiError& error) {
      EXPECT_EQ(error.status(), 503);
      status = 0;
    }
    EXPECT_EQ(status, 0) << "nothing answers any more";
  }());
}

}  // namespace
}  // namespace hearth::domain
