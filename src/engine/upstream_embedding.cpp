// Embeddings of an upstream, in the form that was asked for.
#include <bit>
#include <cstring>
#include <span>

#include "base/text.hpp"
#include "engine/upstream_members.hpp"

namespace hearth::engine::upstream {
namespace {

using json::array;
using json::object;
using json::value;

std::size_t count_inputs(const object& request) {
  const array* inputs = json::find_array(request, field::input);
  return !inputs || inputs->empty() || inputs->front().is_number() ? 1 : inputs->size();
}

value to_base64(const array& numbers) {
  std::vector<float> floats;
  floats.reserve(numbers.size());
  for (const value& number : numbers)
    floats.push_back(static_cast<float>(json::as_number(number).value_or(0)));
  return value(text::encode_base64(std::as_bytes(std::span(floats))));
}

value to_numbers(std::string_view base64) {
  static_assert(std::endian::native == std::endian::little);
  const auto bytes = text::decode_base64(base64);
  if (!bytes || bytes->size() % sizeof(float) != 0) throw unusable_answer();
  array numbers;
  numbers.reserve(bytes->size() / sizeof(float));
  for (std::size_t at = 0; at < bytes->size(); at += sizeof(float)) {
    float number = 0;
    std::memcpy(&number, bytes->data() + at, sizeof number);
    numbers.emplace_back(number);
  }
  return numbers;
}

}  // namespace

object read_embeddings(value answer, const object& request) {
  const bool wants_base64 = json::find_string(request, field::encoding_format) == "base64";
  const std::size_t expected = count_inputs(request);
  object* from = answer.if_object();
  array* data = from ? array_of(*from, field::data) : nullptr;
  if (!data || data->size() != expected) throw unusable_answer();
  object out(answer.storage());
  out.emplace(field::object, "list");
  array kept(out.storage());
  kept.reserve(expected);
  for (std::size_t position = 0; position < expected; ++position) {
    object* given = (*data)[position].if_object();
    value* vector = given ? given->if_contains(field::embedding) : nullptr;
    if (!vector || !(vector->is_string() || vector->is_array())) throw unusable_answer();
    object entry(out.storage());
    entry.emplace(field::object, field::embedding);
    entry.emplace(field::index, index_of(*given, position, expected));
    if (wants_base64 && vector->is_array()) {
      entry.emplace(field::embedding, to_base64(vector->get_array()));
    } else if (!wants_base64 && vector->is_string()) {
      entry.emplace(field::embedding, to_numbers(json::view(vector->get_string())));
    } else {
      entry.emplace(field::embedding, std::move(*vector));
    }
    kept.emplace_back(std::move(entry));
  }
  out.emplace(field::data, std::move(kept));
  object usage(out.storage());
  const object* reported = json::find_object(*from, field::usage);
  const auto tokens = std::max<std::int64_t>(
      0, reported ? json::find_integer(*reported, field::prompt_tokens).value_or(0) : 0);
  usage.emplace(field::prompt_tokens, tokens);
  usage.emplace(field::total_tokens, tokens);
  out.emplace(field::usage, std::move(usage));
  return out;
}

}  // namespace hearth::engine::upstream
