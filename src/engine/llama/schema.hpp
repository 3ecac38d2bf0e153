// Which JSON schemas llama-server's grammars really enforce. The server drops what it cannot express without
// a word; here only what is known to be kept counts as kept. Pure. Called when a chat request is planned.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "json/json.hpp"

namespace hearth::engine::llama {

// For schemas sent with `strict`: throws ApiError (400 invalid_json_schema, `param`) when part of the schema
// would not be enforced, or when an object leaves members open, which strict schemas must not. The message
// names the place.
void check_strict_schema(const json::object& schema, std::string_view param);

// For schemas that are only a wish: the paths, from `param`, of what the grammar does not enforce; the first
// few. Throws ApiError (400) for a schema that is too large to be read.
std::vector<std::string> check_loose_schema(const json::object& schema, std::string_view param);

}  // namespace hearth::engine::llama
