// The forms that the contract asks of a string beyond its length. Internal to the validator.
#pragma once

#include <string_view>

#include "contract/tables.hpp"

namespace hearth::contract {

bool matches(const Pattern& pattern, std::string_view text);
// A scheme, a colon, and something after it that does not begin with a blank or a control character.
bool is_uri(std::string_view text);
// Standard alphabet with padding.
bool is_base64(std::string_view text);

}  // namespace hearth::contract
