// Which JSON schemas llama-server's grammars really enforce.
#pragma once

#include <string_view>

#include "json/json.hpp"

namespace hearth::engine::llama {

// For schemas sent with `strict`: throws ApiError (400, `param`) when part of the schema would be ignored, or
// when an object leaves members open, which strict schemas must not.
void check_strict_schema(const json::object& schema, std::string_view param);

}  // namespace hearth::engine::llama
