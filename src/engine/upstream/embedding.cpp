// Embeddings of an upstream, in the form that was asked for.
#include <vector>

#include "engine/embedding_vector.hpp"
#include "engine/upstream/members.hpp"

namespace hearth::engine::upstream {
namespace {

using json::array;
using json::object;
using json::value;

std::size_t count_inputs(const object& request) {
  const array* inputs = json::find_array(request, field::input);
  return !inputs || inputs->empty() || inputs->front().is_number() ? 1 : inputs->size();
}

std::vector<float> to_floats(const value& vector) {
  if (const json::string* base64 = vector.if_string()) {
    auto floats = decode_vector(json::view(*base64));
    if (!floats) throw unusable_answer();
    return std::move(*floats);
  }
  const array& numbers = vector.get_array();
  std::vector<float> floats;
  floats.reserve(numbers.size());
  for (const value& number : numbers)
    floats.push_back(static_cast<float>(json::as_number(number).value_or(0)));
  return floats;
}

array* array_of(object& from, std::string_view name) {
  value* member = from.if_contains(name);
  return member ? member->if_array() : nullptr;
}

}  // namespace

bool has_usage(const object& reply) {
  const object* usage = json::find_object(reply, field::usage);
  return usage && json::find_integer(*usage, field::total_tokens).value_or(0) > 0;
}

object read_embeddings(value answer, const object& request) {
  const VectorForm form = vector_form_of(request);
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
    if (vector->is_string() == (form == VectorForm::base64)) {
      entry.emplace(field::embedding, std::move(*vector));
    } else {
      entry.emplace(field::embedding, render_vector(to_floats(*vector), form));
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

void fit_dimensions(object& reply, const object& request) {
  const auto asked = json::find_integer(request, field::dimensions);
  if (!asked) return;
  const auto dimensions = static_cast<std::size_t>(*asked);
  for (value& item : reply.at(field::data).as_array()) {
    value& vector = item.as_object().at(field::embedding);
    if (vector.is_array() && vector.get_array().size() == dimensions) continue;
    std::vector<float> floats = to_floats(vector);
    if (floats.size() == dimensions) continue;
    if (!shorten(floats, dimensions)) throw unusable_answer();
    vector = render_vector(floats, vector_form_of(request));
  }
}

}  // namespace hearth::engine::upstream
