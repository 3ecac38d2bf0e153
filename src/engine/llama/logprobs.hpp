// Token probabilities, from llama-server's one shape.
//
// The server lists {id, token, bytes, logprob, top_logprobs} for each piece of text that it sent. Pieces
// without bytes (control tokens, text held back for a stop sequence) are left out; their text, if any, comes
// with the next piece.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/task/generation.hpp"
#include "json/json.hpp"

namespace hearth::engine::llama {

// How many alternatives the client asked for; nullopt: no log probabilities at all.
using TopCount = std::optional<std::int64_t>;

// The log probabilities of a chat completion, from the server's list (nullptr: none).
std::vector<TokenLogprob> read_chat_logprobs(const json::array* probabilities, std::int64_t top);

// Collects those of text completions. Offsets count characters of the choice's text, over all chunks of a
// stream.
class CompletionLogprobs {
 public:
  explicit CompletionLogprobs(std::int64_t top) : top_(top) {}

  // One piece of generated text.
  void add(const json::object& entry);
  // A token of the echoed prompt, whose own probability is `entry`; null for the first one.
  void add_echo(std::string_view text, const json::object* entry);
  bool empty() const { return tokens_.empty(); }
  // What was collected since the last call.
  Logprobs take();

  double sum() const { return sum_; }
  std::int64_t count() const { return count_; }

 private:
  void add_piece(std::string token, std::string_view bytes, const json::object* entry);

  std::int64_t top_;
  std::int64_t offset_ = 0;
  double sum_ = 0;
  std::int64_t count_ = 0;
  std::vector<TokenLogprob> tokens_;
};

}  // namespace hearth::engine::llama
