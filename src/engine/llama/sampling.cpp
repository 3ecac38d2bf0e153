#include "engine/llama/sampling.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "contract/fields.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;

// The server takes 32 bits and reads the highest value as "random".
std::uint32_t narrow_seed(std::int64_t seed, std::size_t choice) {
  const auto bits = static_cast<std::uint64_t>(seed);
  return static_cast<std::uint32_t>(((bits ^ (bits >> 32)) + choice) & 0x7fffffff);
}

void check_bias(const json::object& bias, const Traits& traits) {
  for (const auto& entry : bias) {
    const std::string_view key = entry.key();
    std::int64_t token = -1;
    const auto [end, failure] = std::from_chars(key.data(), key.data() + key.size(), token);
    const bool is_number = failure == std::errc() && end == key.data() + key.size();
    if (!is_number || token < 0 || (traits.vocabulary > 0 && token >= traits.vocabulary)) {
      throw ApiError::invalid_request("invalid_value", fmt::format("'{}' is not a token of this model.", key),
                                      std::string(field::logit_bias));
    }
  }
}

json::array render_stop(const json::value& stop) {
  json::array out;
  const auto add = [&out](const json::value& text, std::string where) {
    if (text.get_string().empty()) {
      throw ApiError::invalid_request("invalid_value", fmt::format("'{}' must not be an empty text.", where),
                                      where);
    }
    out.emplace_back(text.get_string());
  };
  if (stop.is_string()) {
    add(stop, std::string(field::stop));
    return out;
  }
  for (std::size_t i = 0; i < stop.get_array().size(); ++i) {
    const json::value& text = stop.get_array()[i];
    if (!text.is_null()) add(text, fmt::format("{}[{}]", field::stop, i));
  }
  return out;
}

}  // namespace

Sampling plan_sampling(const json::object& request, const Traits& traits) {
  Sampling out;
  json::object& body = out.parameters;
  body[field::temperature] = json::find_number(request, field::temperature).value_or(1.0);
  body[field::top_p] = json::find_number(request, field::top_p).value_or(1.0);
  body[wire::top_k] = 0;
  body[wire::min_p] = 0;
  body[field::frequency_penalty] = json::find_number(request, field::frequency_penalty).value_or(0.0);
  body[field::presence_penalty] = json::find_number(request, field::presence_penalty).value_or(0.0);
  body[wire::repeat_last_n] = traits.context;  // penalties look at the whole text, not at the last 64 tokens
  body[wire::cache_prompt] = true;
  if (const json::value* stop = json::find(request, field::stop); stop && !stop->is_null()) {
    body[field::stop] = render_stop(*stop);
  }
  if (const json::object* bias = json::find_object(request, field::logit_bias)) {
    check_bias(*bias, traits);
    body[field::logit_bias] = *bias;
  }
  out.seed = json::find_integer(request, field::seed);
  return out;
}

json::object sampling_body(const Sampling& sampling, std::size_t choice) {
  json::object body = sampling.parameters;
  if (sampling.seed) body[field::seed] = narrow_seed(*sampling.seed, choice);
  return body;
}

}  // namespace hearth::engine::llama
