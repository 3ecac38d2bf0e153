// Embedding vectors in the API's two forms, and shortened. Pure; used by the adapters of every engine.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/json.hpp"

namespace hearth::engine {

enum class VectorForm { numbers, base64 };

// What the request's `encoding_format` asks for.
VectorForm vector_form_of(const json::object& request);

// Little-endian floats. nullopt when it is something else.
std::optional<std::vector<float>> decode_vector(std::string_view base64);
json::value render_vector(const std::vector<float>& vector, VectorForm form);

// Keeps the first `dimensions` parts and brings the vector to length 1 again. False, and nothing changed,
// when it has fewer.
bool shorten(std::vector<float>& vector, std::size_t dimensions);

}  // namespace hearth::engine
