// How many tokens a request will take, before an engine has counted: for limits, and for what a client that
// left early has used.
//
//   prompt = bytes of its texts / 4, rounded up (texts of messages, tools, schemas, prompts, inputs)
//            + 1 for each token of a list of tokens
//            + 4 for each message (its role and its marks)
//            + 512 for each image, + 1 for each 3200 bytes of sound
//   output = what the request allows for each choice, or 512 where it does not say, × choices (n or best_of)
//   ×
//            prompts; at most the model's context for each choice
//
// Pure. Thread: any. The request is valid under the contract.
#pragma once

#include <cstdint>

#include "json/json.hpp"

namespace hearth::domain {

inline constexpr std::int64_t default_output_tokens = 512;

struct TokenEstimate {
  std::int64_t prompt = 0;
  std::int64_t output = 0;
  std::int64_t total() const { return prompt + output; }
};

// What the operation makes of its input: text that costs tokens too, or something else (vectors, verdicts).
enum class Generates { nothing, text };

// `context` is the most tokens that the model can hold; 0 = unknown.
TokenEstimate estimate_tokens(const json::object& request, Generates generates, std::int64_t context);

}  // namespace hearth::domain
