#include "engine/llama/embedding.hpp"

#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "contract/fields.hpp"
#include "engine/embedding_vector.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;
std::vector<float> read_vector(const json::object& item) {
  auto vector = decode_vector(json::find_string(item, field::embedding).value_or(""));
  if (!vector) throw ApiError::internal();
  return std::move(*vector);
}

void cut(std::vector<float>& vector, std::int64_t dimensions) {
  if (shorten(vector, static_cast<std::size_t>(dimensions))) return;
  throw ApiError::invalid_request(
      "invalid_value",
      fmt::format("This model's vectors have {} dimensions, fewer than {}.", vector.size(), dimensions),
      std::string(field::dimensions));
}

}  // namespace

json::object render_embedding_call(const json::object& request) {
  json::object body;
  body[field::input] = request.at(field::input);
  body[field::encoding_format] = "base64";
  return body;
}

json::object render_embedding_reply(const json::object& request, const json::object& reply) {
  const VectorForm form = vector_form_of(request);
  const auto dimensions = json::find_integer(request, field::dimensions);
  json::array data;
  if (const json::array* vectors = json::find_array(reply, field::data)) {
    for (const json::value& item : *vectors) {
      if (!item.is_object()) throw ApiError::internal();
      std::vector<float> vector = read_vector(item.get_object());
      if (dimensions) cut(vector, *dimensions);
      json::object out;
      out[field::object] = "embedding";
      out[field::index] = data.size();
      out[field::embedding] = render_vector(vector, form);
      data.emplace_back(std::move(out));
    }
  }
  const Usage usage = read_usage(reply);
  json::object counted;
  counted[field::prompt_tokens] = usage.prompt;
  counted[field::total_tokens] = usage.prompt;
  json::object out;
  out[field::object] = "list";
  out[field::data] = std::move(data);
  out[field::usage] = std::move(counted);
  return out;
}

}  // namespace hearth::engine::llama
