// The OpenAPI 3.1 document of the API, generated from the contract; served at /openapi.json.
#pragma once

#include <string_view>

namespace hearth::contract {

// Compact JSON, static.
std::string_view openapi_json();

}  // namespace hearth::contract
