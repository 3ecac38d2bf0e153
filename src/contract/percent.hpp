// Percent-decoding of paths and queries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::contract {

enum class Plus : std::uint8_t { literal, blank };  // what '+' means: itself in a path, a blank in a query

// nullopt for a broken escape, a NUL, or bytes that are not UTF-8.
std::optional<std::string> percent_decode(std::string_view text, Plus plus);

}  // namespace hearth::contract
