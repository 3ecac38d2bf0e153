#include "domain/generation/generation_stream.hpp"

#include <algorithm>
#include <gmock/gmock.h>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "base/api_error.hpp"
#include "contract/schemas.hpp"
#include "contract/validator.hpp"

namespace hearth::domain {
namespace {

using engine::CallPiece;
using engine::CallStyle;
using engine::Delta;
using engine::FinishReason;
using engine::TokenLogprob;
using engine::TokenUsage;
using Keep = GenerationStream::Keep;
using Usage = GenerationStream::Usage;

// Gives what it was given; fails after so many deltas when it is told to.
class ScriptedDeltas final : public engine::DeltaStream {
 public:
  ScriptedDeltas(std::vector<Delta> deltas, TokenUsage usage, std::size_t fails_after = SIZE_MAX)
      : deltas_(std::move(deltas)), usage_(usage), fails_after_(fails_after) {}
  Task<const Delta*> next() override {
    if (at_ == fails_after_) throw ApiError::unavailable("engine_unavailable", "It failed.");
    if (at_ == deltas_.size()) co_return nullptr;
    held_ = deltas_[at_++];  // as engines do: one delta, used again and again
    co_return &held_;
  }
  const TokenUsage& usage() const override { return usage_; }
  std::string_view fingerprint() const override { return "fp_1"; }

 private:
  std::vector<Delta> deltas_;
  TokenUsage usage_;
  std::size_t fails_after_;
  std::size_t at_ = 0;
  Delta held_;
};

struct Outcome {
  std::vector<json::value> chunks;
  json::value whole;
  bool failed = false;
};

ReplyStamp stamp() {
  return {.id = "x-1", .created = 5, .model = "m", .tier = ReplyStamp::Tier::told};
}

Outcome run(std::unique_ptr<engine::DeltaStream> deltas, GenerationStream::Settings settings,
            contract::Used* counted = nullptr) {
  Outcome out;
  contract::Used nobodys;
  async::Runtime runtime(1);
  GenerationStream stream(nullptr, std::move(deltas), settings, counted ? *counted : nobodys);
  runtime.run_until_complete([](GenerationStream& from, bool keeps, Outcome& seen) -> Task<void> {
    try {
      co_await from.begin();
      while (const json::value* chunk = co_await from.next())
        seen.chunks.emplace_back(*chunk, boost::json::storage_ptr());
      if (keeps) seen.whole = from.whole();
    } catch (const ApiError&) {
      seen.failed = true;
    }
  }(stream, settings.keep == Keep::whole, out));
  return out;
}

Outcome run(std::vector<Delta> deltas, GenerationStream::Settings settings, TokenUsage usage = {},
            contract::Used* used = nullptr) {
  return run(std::make_unique<ScriptedDeltas>(std::move(deltas), usage), std::move(settings), used);
}

Delta text(std::size_t choice, std::string piece) {
  Delta delta;
  delta.choice = choice;
  delta.text = std::move(piece);
  return delta;
}

Delta end(std::size_t choice, FinishReason reason) {
  Delta delta;
  delta.choice = choice;
  delta.finish = reason;
  return delta;
}

Delta call(std::size_t index, std::string id, std::string name, std::string arguments) {
  Delta delta;
  delta.calls.push_back({.index = index,
                         .style = CallStyle::tools,
                         .id = std::move(id),
                         .name = std::move(name),
                         .arguments = std::move(arguments)});
  return delta;
}

json::value parsed(std::string_view text) {
  return json::parse(text).value();
}

TEST(GenerationStream, ChunksOfAChat) {
  const auto seen = run({Delta(), text(0, "Hi"), end(0, FinishReason::stop)},
                        {.stamp = {.id = "chatcmpl-1", .created = 5, .model = "m"}});
  ASSERT_EQ(seen.chunks.size(), 3u);
  EXPECT_EQ(seen.chunks[0],
            parsed(R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m",
      "choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,
      "finish_reason":null}],"system_fingerprint":"fp_1"})"));
  EXPECT_EQ(seen.chunks[1].at("choices").at(0).at("delta"), parsed(R"({"content":"Hi"})"));
  EXPECT_EQ(seen.chunks[2].at("choices").at(0).at("delta"), parsed("{}"));
  EXPECT_EQ(seen.chunks[2].at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_FALSE(seen.chunks[2].as_object().contains("usage"));
  EXPECT_FALSE(seen.failed);
}

TEST(GenerationStream, AChoiceThatBeginsWithACallHasNoText) {
  const auto seen = run({call(0, "call_1", "f", ""), call(0, "", "", "{}"), end(0, FinishReason::tool_calls)},
                        {.stamp = stamp()});
  EXPECT_EQ(
      seen.chunks.at(0).at("choices").at(0).at("delta"),
      parsed(R"({"role":"assistant","content":null,"refusal":null,"tool_calls":[{"index":0,"id":"call_1",
                "type":"function","function":{"name":"f","arguments":""}}]})"));
  EXPECT_EQ(seen.chunks.at(1).at("choices").at(0).at("delta"),
            parsed(R"({"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]})"));
}

TEST(GenerationStream, AChoiceMayBeginWithTextAndACall) {
  Delta both = call(0, "call_1", "f", "{}");
  both.text = "Hi";
  const auto seen = run({both, end(0, FinishReason::tool_calls)}, {.stamp = stamp()});
  EXPECT_EQ(seen.chunks.at(0).at("choices").at(0).at("delta").at("content"), "Hi");
}

TEST(GenerationStream, UsageIsShownToWhoAskedForIt) {
  const TokenUsage usage{.prompt = 3, .completion = 2, .cached_prompt = 1, .reasoning = 0};
  for (const ReplyKind kind : {ReplyKind::chat, ReplyKind::completion}) {
    const auto shown = run({text(0, "a"), end(0, FinishReason::stop)},
                           {.kind = kind, .stamp = stamp(), .usage = Usage::included}, usage);
    ASSERT_EQ(shown.chunks.size(), 3u);
    EXPECT_TRUE(shown.chunks[0].at("usage").is_null());
    EXPECT_TRUE(shown.chunks[1].at("usage").is_null());
    EXPECT_EQ(shown.chunks[2].at("choices"), json::array());
    EXPECT_EQ(shown.chunks[2].at("usage"),
              parsed(R"({"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,
                  "prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":0}})"));
    EXPECT_EQ(shown.chunks[2].at("service_tier"), "default") << "it was asked for";
    EXPECT_EQ(run({text(0, "a"), end(0, FinishReason::stop)}, {.kind = kind, .stamp = stamp()}, usage)
                  .chunks.size(),
              2u);
  }
}

TEST(GenerationStream, CountsPiecesUntilTheEngineTells) {
  contract::Used used;
  const auto cut =
      run(std::make_unique<ScriptedDeltas>(
              std::vector<Delta>{Delta(), text(0, "a"), text(0, "b"), text(0, "c")}, TokenUsage(), 3),
          {.stamp = stamp()}, &used);
  EXPECT_TRUE(cut.failed) << "a truncated reply never ends cleanly";
  EXPECT_EQ(cut.chunks.size(), 3u);
  EXPECT_EQ(used.output_tokens, 2);
  used = {};
  run({text(0, "a"), end(0, FinishReason::stop)}, {.stamp = stamp()},
      {.prompt = 7, .completion = 9, .cached_prompt = 4, .audio_prompt = 1, .audio_completion = 2}, &used);
  EXPECT_EQ(used.input_tokens, 7);
  EXPECT_EQ(used.output_tokens, 9);
  EXPECT_EQ(used.cached_tokens, 4);
  EXPECT_EQ(used.input_audio_tokens, 1);
  EXPECT_EQ(used.output_audio_tokens, 2);
}

TEST(GenerationStream, ReasoningIsNoPartOfAChat) {
  Delta thought;
  thought.reasoning = "hm";
  const auto seen = run({Delta(), thought, text(0, "a"), end(0, FinishReason::stop)},
                        {.stamp = stamp(), .keep = Keep::whole});
  EXPECT_EQ(seen.chunks.size(), 3u);
  EXPECT_EQ(json::write(seen.whole).find("hm"), std::string::npos);
}

TEST(GenerationStream, WhatOnlySomeEnginesGiveIsCarriedAlong) {
  Delta sung;
  sung.extras["audio"] = parsed(R"({"id":"a","expires_at":1,"data":"","transcript":"la"})");
  sung.finish = FinishReason::stop;
  const auto seen = run({sung}, {.stamp = stamp(), .keep = Keep::whole});
  EXPECT_EQ(seen.whole.at("choices").at(0).at("message"),
            parsed(R"({"role":"assistant","content":null,"refusal":null,
                "audio":{"id":"a","expires_at":1,"data":"","transcript":"la"}})"));
}

TEST(GenerationStream, AnOlderFunctionCallIsOneObject) {
  Delta begin;
  begin.calls.push_back({.style = CallStyle::functions, .name = "look", .arguments = "{\"a\""});
  Delta more;
  more.calls.push_back({.style = CallStyle::functions, .arguments = ":1}"});
  const auto seen =
      run({begin, more, end(0, FinishReason::function_call)}, {.stamp = stamp(), .keep = Keep::whole});
  EXPECT_EQ(seen.chunks.at(1).at("choices").at(0).at("delta"),
            parsed(R"({"function_call":{"arguments":":1}"}})"));
  EXPECT_EQ(seen.whole.at("choices").at(0).at("message"),
            parsed(R"({"role":"assistant","content":null,"refusal":null,
                "function_call":{"name":"look","arguments":"{\"a\":1}"}})"));
  EXPECT_EQ(seen.whole.at("choices").at(0).at("finish_reason"), "function_call");
}

// ---- a collected stream equals the whole reply

// Puts chunks together as a client does, without any of the code under test.
class Client {
 public:
  explicit Client(ReplyKind kind) : kind_(kind) {}

  void read(const json::value& chunk) {
    for (const json::value& item : chunk.at("choices").as_array()) {
      const json::object& piece = item.as_object();
      json::object& choice = choices_[piece.at("index").to_number<int>()];
      if (!piece.at("finish_reason").is_null()) choice["finish_reason"] = piece.at("finish_reason");
      if (const json::object* lists = piece.at("logprobs").if_object()) add_lists(choice["logprobs"], *lists);
      if (kind_ == ReplyKind::completion) {
        append(choice["text"], piece.at("text"));
      } else {
        add_delta(choice, piece.at("delta").as_object());
      }
    }
    if (const json::value* usage = chunk.as_object().if_contains("usage"); usage && usage->is_object())
      usage_ = *usage;
  }

  json::value whole(const json::value& last_chunk) const {
    json::object out = last_chunk.as_object();
    out["object"] = kind_ == ReplyKind::chat ? "chat.completion" : "text_completion";
    json::array choices;
    for (const auto& [index, collected] : choices_) {
      json::object choice = collected;
      choice["index"] = index;
      if (!choice.contains("logprobs")) choice["logprobs"] = nullptr;
      if (kind_ == ReplyKind::chat) finish_message(choice);
      choices.push_back(std::move(choice));
    }
    out["choices"] = std::move(choices);
    out["usage"] = usage_;
    return out;
  }

 private:
  static void append(json::value& to, const json::value& piece) {
    if (piece.is_null()) return;
    if (!to.is_string()) to.emplace_string();
    to.get_string().append(piece.as_string());
  }

  static void add_lists(json::value& to, const json::object& lists) {
    if (!to.is_object()) to.emplace_object();
    for (const auto& list : lists) {
      json::value& all = to.get_object()[list.key()];
      const json::array* more = list.value().if_array();
      if (!more) continue;
      if (!all.is_array()) all.emplace_array();
      all.get_array().insert(all.get_array().end(), more->begin(), more->end());
    }
  }

  static void add_function(json::value& to, const json::object& piece) {
    if (!to.is_object()) to.emplace_object();
    for (const auto& member : piece)
      append(to.get_object()[member.key()], member.value());
  }

  static void add_delta(json::object& choice, const json::object& delta) {
    json::value& message = choice["message"];
    if (!message.is_object())
      message = json::object{{"role", nullptr}, {"content", nullptr}, {"refusal", nullptr}};
    json::object& to = message.get_object();
    for (const auto& member : delta) {
      if (member.key() == "tool_calls") {
        json::value& calls = to["tool_calls"];
        if (!calls.is_array()) calls.emplace_array();
        for (const json::value& piece : member.value().as_array()) {
          const auto index = piece.at("index").to_number<std::size_t>();
          while (calls.get_array().size() <= index)
            calls.get_array().push_back(json::object());
          json::object& call = calls.get_array()[index].get_object();
          for (const char* name : {"id", "type"}) {
            if (const json::value* told = piece.as_object().if_contains(name)) append(call[name], *told);
          }
          add_function(call["function"], piece.at("function").as_object());
        }
      } else if (member.key() == "function_call") {
        add_function(to["function_call"], member.value().as_object());
      } else {
        append(to[member.key()], member.value());
      }
    }
  }

  // A stream says "" before it knows whether there will be text, as the original does.
  static void finish_message(json::object& choice) {
    json::object& message = choice["message"].get_object();
    const bool else_said = message.contains("tool_calls") || message.contains("function_call") ||
                           !message.at("refusal").is_null();
    if (message.at("content") == "" && else_said) message["content"] = nullptr;
  }

  ReplyKind kind_;
  std::map<int, json::object> choices_;
  json::value usage_;
};

class Chance {
 public:
  explicit Chance(unsigned seed) : random_(seed) {}
  bool one_in(unsigned n) { return random_() % n == 0; }
  std::size_t below(std::size_t n) { return random_() % n; }
  std::string words() {
    static constexpr std::array<std::string_view, 8> pieces{"a",       "ü", " \"b\"", "\n",
                                                            "{\"c\":", "}", "日本",   "\\"};
    std::string out;
    for (std::size_t n = 1 + below(3); n > 0; --n)
      out += pieces[below(pieces.size())];
    return out;
  }
  double logprob() { return -static_cast<double>(below(1000)) / 64; }

 private:
  std::mt19937 random_;
};

std::vector<TokenLogprob> random_tokens(Chance& chance, ReplyKind kind, std::int64_t& offset) {
  std::vector<TokenLogprob> out(chance.below(3));
  for (TokenLogprob& token : out) {
    token.token = chance.words();
    token.logprob = chance.logprob();
    auto& alternatives = token.alternatives.emplace();
    for (std::size_t n = chance.below(3); n > 0; --n)
      alternatives.push_back({chance.words(), chance.logprob(), {}});
    if (kind == ReplyKind::chat) {
      token.bytes = token.token;
    } else {
      token.offset = offset++;
    }
  }
  return out;
}

// What one choice says, in the order of its saying.
std::vector<Delta> random_choice(Chance& chance, ReplyKind kind, std::size_t number, bool logprobs) {
  std::vector<Delta> out;
  const auto add = [&]() -> Delta& {
    Delta& delta = out.emplace_back();
    delta.choice = number;
    return delta;
  };
  std::int64_t offset = 0;
  const bool chat = kind == ReplyKind::chat;
  if (chat && chance.one_in(2)) {
    Delta& first = add();
    if (logprobs) first.logprobs.emplace().text.emplace();
  }
  for (std::size_t n = chance.below(4); n > 0; --n) {
    Delta& delta = add();
    if (chance.one_in(5) && chat) {
      delta.reasoning = chance.words();
    } else if (chance.one_in(6) && chat) {
      delta.refusal = chance.words();
      if (logprobs) delta.logprobs.emplace().refusal = random_tokens(chance, kind, offset);
    } else {
      delta.text = chance.words();
      if (logprobs) delta.logprobs.emplace().text = random_tokens(chance, kind, offset);
    }
  }
  std::size_t calls = chat && chance.one_in(2) ? chance.below(3) : 0;
  const auto style = chance.one_in(4) ? CallStyle::functions : CallStyle::tools;
  if (style == CallStyle::functions) calls = std::min<std::size_t>(calls, 1);
  for (std::size_t index = 0; index < calls; ++index) {
    CallPiece begin{.index = index, .style = style, .name = "f" + std::to_string(index)};
    if (style == CallStyle::tools) begin.id = "call_" + std::to_string(index);
    if (chance.one_in(3)) begin.arguments = chance.words();
    // Now and then the call comes with the text before it.
    Delta& delta = !out.empty() && chance.one_in(3) ? out.back() : add();
    delta.calls.push_back(begin);
    for (std::size_t n = chance.below(4); n > 0; --n)
      add().calls.push_back({.index = index, .style = style, .arguments = chance.words()});
  }
  Delta& last = !out.empty() && chance.one_in(2) ? out.back() : add();
  last.finish = calls == 0                      ? FinishReason::stop
                : style == CallStyle::functions ? FinishReason::function_call
                                                : FinishReason::tool_calls;
  return out;
}

// The choices in turns, as they come from slots side by side.
std::vector<Delta> interleave(Chance& chance, std::vector<std::vector<Delta>> choices) {
  std::vector<Delta> out;
  std::vector<std::size_t> at(choices.size());
  for (;;) {
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < choices.size(); ++i) {
      if (at[i] < choices[i].size()) open.push_back(i);
    }
    if (open.empty()) return out;
    const std::size_t next = open[chance.below(open.size())];
    out.push_back(choices[next][at[next]++]);
  }
}

void expect_valid(contract::SchemaId schema, const json::value& document) {
  const auto violation = contract::validate(schema, document, contract::Strictness::reply);
  EXPECT_FALSE(violation) << violation->param << ": " << violation->message << "\n" << json::write(document);
}

TEST(GenerationStream, ACollectedStreamEqualsTheWholeReply) {
  using contract::SchemaId;
  for (unsigned seed = 0; seed < 2000; ++seed) {
    Chance chance(seed);
    const ReplyKind kind = chance.one_in(3) ? ReplyKind::completion : ReplyKind::chat;
    const bool chat = kind == ReplyKind::chat;
    const bool logprobs = chance.one_in(2);
    ReplyStamp made = stamp();
    if (!chat) made.tier = ReplyStamp::Tier::untold;  // text completions know no tiers
    std::vector<std::vector<Delta>> choices(1 + chance.below(3));
    for (std::size_t i = 0; i < choices.size(); ++i)
      choices[i] = random_choice(chance, kind, i, logprobs);
    const TokenUsage usage{.prompt = static_cast<std::int64_t>(seed), .completion = 3, .cached_prompt = 1};
    const auto seen =
        run(interleave(chance, choices),
            {.kind = kind, .stamp = made, .usage = Usage::included, .keep = Keep::whole}, usage);

    ASSERT_FALSE(seen.failed);
    ASSERT_FALSE(seen.chunks.empty());
    Client client(kind);
    for (const json::value& chunk : seen.chunks) {
      client.read(chunk);
      expect_valid(chat ? SchemaId::create_chat_completion_stream_response
                        : SchemaId::create_completion_stream_response,
                   chunk);
    }
    ASSERT_EQ(client.whole(seen.chunks.back()), seen.whole) << "seed " << seed;
    expect_valid(chat ? SchemaId::create_chat_completion_response : SchemaId::create_completion_response,
                 seen.whole);

    // What comes at once, a delta for each choice, amounts to the same.
    std::vector<Delta> at_once;
    Gathered gathered;
    for (const auto& choice : choices) {
      for (const Delta& delta : choice)
        gathered.add(delta);
    }
    for (const auto& [number, said] : gathered.choices()) {
      Delta& delta = at_once.emplace_back(text(number, said.text));
      delta.refusal = said.refusal;
      delta.reasoning = said.reasoning;
      for (const auto& [index, call] : said.calls)
        delta.calls.push_back({index, call.style, call.id, call.name, call.arguments});
      delta.logprobs = said.logprobs;
      delta.finish = said.finish;
    }
    ASSERT_EQ(run(at_once, {.kind = kind, .stamp = made, .keep = Keep::whole}, usage).whole, seen.whole)
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace hearth::domain
