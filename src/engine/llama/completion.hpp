// Text completions in llama-server's words, and its answers as deltas. Pure.
//
// Each prompt is generated `best_of` times through the server's raw endpoint (or its infill endpoint, with a
// suffix), one call each; the best `n` by mean log probability are returned. An echoed prompt's own log
// probabilities are asked for token by token: a bias forces the next token, and the server reports what the
// model itself gave it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/llama/chat.hpp"
#include "engine/llama/logprobs.hpp"
#include "engine/llama/sampling.hpp"
#include "engine/llama/wire.hpp"
#include "json/json.hpp"

namespace hearth::engine::llama {

enum class Echo { without, text, text_and_logprobs };

struct CompletionPlan {
  Sampling sampling;
  std::vector<json::value> prompts;  // each a string or an array of tokens
  std::size_t n = 1;
  std::size_t best_of = 1;
  TopCount logprobs;
  Echo echo = Echo::without;
  std::optional<std::string> suffix;
  std::int64_t max_tokens = 0;
  std::string fresh_document;  // the prompt where there is none

  std::size_t calls() const { return prompts.size() * best_of; }
  bool generates() const { return max_tokens > 0; }
};

CompletionPlan plan_completion(const json::object& request, const Traits& traits);

// A prompt as the server sees it, for echoes; made by the caller from wire::tokenize_path.
struct PromptToken {
  std::int64_t id = 0;
  std::string bytes;
  json::object probability;  // empty for the first token
};
struct PromptEcho {
  std::string text;
  std::vector<PromptToken>
      tokens;  // only for Echo::text_and_logprobs; without the token that starts every text
};

std::string_view completion_path(const CompletionPlan& plan);
// Call number `call` of plan.calls(), in the order of the prompts.
json::object render_completion_call(const CompletionPlan& plan, std::size_t call, Delivery delivery);
// Asks for the model's own probability of `next` after `before`.
json::object render_forced_token_call(const json::array& before, std::int64_t next, std::int64_t top);

// One generated text: all that its choice says, but for its number.
struct Generated {
  Delta delta;
  double mean_logprob = 0;
};
Generated read_generated(const CompletionPlan& plan, const json::object& reply, const PromptEcho& echo);
// What a request without tokens to generate answers.
Generated echo_only(const CompletionPlan& plan, const PromptEcho& echo);

// The choices of one prompt: the best `n`, numbered from prompt * n.
void add_choices(const CompletionPlan& plan, std::size_t prompt, std::vector<Generated> generated,
                 std::vector<Delta>& choices);

// Reads one choice of a stream.
class CompletionReader {
 public:
  CompletionReader(const CompletionPlan& plan, std::size_t choice)
      : plan_(plan), choice_(choice), logprobs_(plan.logprobs.value_or(0)) {}
  void begin(const PromptEcho& echo, DeltaBuffer& out);  // only with an echo
  // Adds what the event says to `out`.
  void feed(const json::object& event, DeltaBuffer& out);
  void end_without_text(DeltaBuffer& out);
  bool finished() const { return finished_; }
  const Usage& usage() const { return usage_; }

 private:
  void say(std::string_view text, std::optional<FinishReason> finish, DeltaBuffer& out);

  const CompletionPlan& plan_;
  std::size_t choice_;
  CompletionLogprobs logprobs_;
  bool told_logprobs_ = false;
  bool finished_ = false;
  Usage usage_;
};

}  // namespace hearth::engine::llama
