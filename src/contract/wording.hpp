// The sentences of violations: how paths, types and values are named to the client. Internal to the
// validator.
#pragma once

#include <string>
#include <string_view>

#include "contract/walk.hpp"

namespace hearth::contract::wording {

// "messages[7].content"; empty for the root. Very long member names are cut.
std::string path(const Walk::Step* at);
// "'messages[7].content'", or words for the root.
std::string subject(const Walk::Step* at);
// "an integer", "a string or an array", "one of 'auto', 'none'".
std::string expected(const SchemaTables& tables, const Node& node);
// "a string", "an empty array", "null".
std::string_view got(const json::value& value);
// A value's own text in quotes, cut when long.
std::string quoted(std::string_view text);
// "'a', 'b', 'c'": the values of an enum.
std::string listed(const SchemaTables& tables, const Node& node);
// Shortest digits that give the number back.
std::string number(double value);

}  // namespace hearth::contract::wording
