#include "engine/llama_embedding.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/text.hpp"
#include "contract/fields.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;
static_assert(std::endian::native == std::endian::little, "base64 embeddings are little-endian floats");

std::vector<float> read_vector(std::string_view base64) {
  const auto bytes = text::decode_base64(base64);
  if (!bytes || bytes->size() % sizeof(float) != 0) throw ApiError::internal();
  std::vector<float> out(bytes->size() / sizeof(float));
  std::memcpy(out.data(), bytes->data(), bytes->size());
  return out;
}

void cut(std::vector<float>& vector, std::int64_t dimensions) {
  if (dimensions > static_cast<std::int64_t>(vector.size())) {
    throw ApiError::invalid_request(
        "invalid_value",
        fmt::format("This model's vectors have {} dimensions, fewer than {}.", vector.size(), dimensions),
        std::string(field::dimensions));
  }
  vector.resize(static_cast<std::size_t>(dimensions));
  double square = 0;
  for (const float part : vector)
    square += static_cast<double>(part) * part;
  if (square <= 0) return;
  const auto scale = static_cast<float>(1.0 / std::sqrt(square));
  for (float& part : vector)
    part *= scale;
}

json::value render_vector(const std::vector<float>& vector, bool as_base64) {
  if (as_base64) return json::value(text::encode_base64(std::as_bytes(std::span(vector))));
  json::array out;
  out.reserve(vector.size());
  for (const float part : vector)
    out.emplace_back(static_cast<double>(part));
  return out;
}

}  // namespace

json::object render_embedding_call(const json::object& request) {
  json::object body;
  body[field::input] = request.at(field::input);
  body[field::encoding_format] = "base64";
  return body;
}

json::object render_embedding_reply(const json::object& request, const json::object& reply) {
  const bool as_base64 = json::find_string(request, field::encoding_format) == "base64";
  const auto dimensions = json::find_integer(request, field::dimensions);
  json::array data;
  if (const json::array* vectors = json::find_array(reply, field::data)) {
    for (const json::value& item : *vectors) {
      if (!item.is_object()) throw ApiError::internal();
      std::vector<float> vector =
          read_vector(json::find_string(item.get_object(), field::embedding).value_or(""));
      if (dimensions) cut(vector, *dimensions);
      json::object out;
      out[field::object] = "embedding";
      out[field::index] = data.size();
      out[field::embedding] = render_vector(vector, as_base64);
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
