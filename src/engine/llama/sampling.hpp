// The sampling parameters of a chat or text completion in llama-server's words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/llama/wire.hpp"
#include "json/json.hpp"

namespace hearth::engine::llama {

struct Sampling {
  json::object parameters;  // the same for every choice
  std::optional<std::int64_t> seed;
};

// The server's own defaults (top_k 40, top_p 0.95, temperature 0.8, …) are always overridden by the API's.
// Throws ApiError for a logit_bias that names no token, and for an empty stop sequence.
Sampling plan_sampling(const json::object& request, const Traits& traits);
// A call's body to begin with: the parameters, and a seed of its own for each choice.
json::object sampling_body(const Sampling& sampling, std::size_t choice);

}  // namespace hearth::engine::llama
