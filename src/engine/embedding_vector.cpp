#include "engine/embedding_vector.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "base/text.hpp"
#include "contract/fields.hpp"

namespace hearth::engine {

static_assert(std::endian::native == std::endian::little, "base64 embeddings are little-endian floats");

VectorForm vector_form_of(const json::object& request) {
  return json::find_string(request, contract::field::encoding_format) == "base64" ? VectorForm::base64
                                                                                  : VectorForm::numbers;
}

std::optional<std::vector<float>> decode_vector(std::string_view base64) {
  const auto bytes = text::decode_base64(base64);
  if (!bytes || bytes->size() % sizeof(float) != 0) return std::nullopt;
  std::vector<float> out(bytes->size() / sizeof(float));
  if (!out.empty()) std::memcpy(out.data(), bytes->data(), bytes->size());
  return out;
}

json::value render_vector(const std::vector<float>& vector, VectorForm form) {
  if (form == VectorForm::base64) return json::value(text::encode_base64(std::as_bytes(std::span(vector))));
  json::array out;
  out.reserve(vector.size());
  for (const float part : vector)
    out.emplace_back(static_cast<double>(part));
  return out;
}

bool shorten(std::vector<float>& vector, std::size_t dimensions) {
  if (dimensions > vector.size()) return false;
  vector.resize(dimensions);
  double square = 0;
  for (const float part : vector)
    square += static_cast<double>(part) * part;
  if (square <= 0) return true;
  const auto scale = static_cast<float>(1.0 / std::sqrt(square));
  for (float& part : vector)
    part *= scale;
  return true;
}

}  // namespace hearth::engine
