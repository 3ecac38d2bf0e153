// The words of llama-server that the API does not share, and what a running server says about itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/task/generation.hpp"
#include "json/json.hpp"

namespace hearth::engine::llama {

namespace wire {
inline constexpr std::string_view chat_path = "/v1/chat/completions";
inline constexpr std::string_view completion_path = "/completion";
inline constexpr std::string_view infill_path = "/infill";
inline constexpr std::string_view embeddings_path = "/v1/embeddings";
inline constexpr std::string_view template_path = "/apply-template";
inline constexpr std::string_view tokenize_path = "/tokenize";
inline constexpr std::string_view detokenize_path = "/detokenize";
inline constexpr std::string_view props_path = "/props";
inline constexpr std::string_view models_path = "/v1/models";

inline constexpr std::string_view cache_prompt = "cache_prompt";
inline constexpr std::string_view completion_probabilities = "completion_probabilities";
inline constexpr std::string_view grammar = "grammar";
inline constexpr std::string_view input_prefix = "input_prefix";
inline constexpr std::string_view input_suffix = "input_suffix";
inline constexpr std::string_view min_p = "min_p";
inline constexpr std::string_view multimodal_data = "multimodal_data";
inline constexpr std::string_view n_predict = "n_predict";
inline constexpr std::string_view n_probs = "n_probs";
inline constexpr std::string_view prompt_string = "prompt_string";
inline constexpr std::string_view repeat_last_n = "repeat_last_n";
inline constexpr std::string_view response_fields = "response_fields";
inline constexpr std::string_view cache_n = "timings/cache_n";
inline constexpr std::string_view stop_type = "stop_type";
inline constexpr std::string_view tokens_evaluated = "tokens_evaluated";
inline constexpr std::string_view tokens_predicted = "tokens_predicted";
inline constexpr std::string_view top_k = "top_k";
}  // namespace wire

// What a server told about the model that it runs; fixed for the server's life.
struct Traits {
  std::string model;             // the name that messages to the client use
  std::uint32_t slots = 1;       // generations side by side
  std::uint32_t context = 4096;  // tokens of prompt and answer together
  std::int64_t vocabulary = 0;   // 0 = unknown
  bool sees = false;             // takes images
  bool calls_tools = false;      // the chat template describes tools
  bool has_effort = false;       // the chat template knows reasoning_effort
  std::string call_prefix;       // what the chat template puts before a call, where that is known
  std::string end_of_text;       // starts a fresh document for models without a token of their own for that
};

// `props` and `models` are the replies of wire::props_path and wire::models_path.
Traits read_traits(std::string model, const json::object& props, const json::object& models);

// Tokens that a call cost, as the server counted them.
struct Usage {
  std::int64_t prompt = 0;
  std::int64_t completion = 0;
  std::int64_t cached = 0;
};

// `usage` of an API-shaped reply, or the counts of a raw completion.
Usage read_usage(const json::object& reply);
TokenUsage to_token_usage(const Usage& usage);

// The tokens that `request` allows an answer to have, from its member `name`. Throws ApiError (400) for more
// than the model's context holds.
std::optional<std::int64_t> read_max_tokens(const json::object& request, std::string_view name,
                                            const Traits& traits);

// True for a member that is there and not null.
bool has(const json::object& object, std::string_view name);

}  // namespace hearth::engine::llama
