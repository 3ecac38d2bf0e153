// Durations and sizes as people write them: "500ms", "30s", "5m", "2h", "1d"; "512B", "64KiB", "32MiB",
// "8GiB".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::app {

// Whole number and unit, "0" alone allowed; nullopt for anything else, also when it does not fit.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// Whole number and unit; a number alone is bytes. nullopt for anything else, also when it does not fit.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::optional<std::uint64_t> parse_whole_number(std::string_view text);

// In the largest unit that keeps it exact; what the parsers read back.
std::string format_duration(std::chrono::milliseconds duration);
std::string format_size(std::uint64_t bytes);

}  // namespace hearth::app
