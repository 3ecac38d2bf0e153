// What is wrong with a value, in the words that the client reads.
#pragma once

#include <string>
#include <string_view>

#include "base/api_error.hpp"

namespace hearth::contract {

struct Violation {
  std::string param;      // "messages[7].content[1].image_url.url"; empty for the value as a whole
  std::string_view code;  // one of `code` below
  std::string message;
};

namespace code {
inline constexpr std::string_view missing = "missing_required_parameter";
inline constexpr std::string_view unknown = "unknown_parameter";
inline constexpr std::string_view exclusive = "mutually_exclusive_parameters";
inline constexpr std::string_view type = "invalid_type";
inline constexpr std::string_view value = "invalid_value";
inline constexpr std::string_view integer_below_min = "integer_below_min_value";
inline constexpr std::string_view integer_above_max = "integer_above_max_value";
inline constexpr std::string_view decimal_below_min = "decimal_below_min_value";
inline constexpr std::string_view decimal_above_max = "decimal_above_max_value";
inline constexpr std::string_view string_below_min = "string_below_min_length";
inline constexpr std::string_view string_above_max = "string_above_max_length";
inline constexpr std::string_view array_below_min = "array_below_min_length";
inline constexpr std::string_view array_above_max = "array_above_max_length";
inline constexpr std::string_view empty_array = "empty_array";
inline constexpr std::string_view object_below_min = "object_below_min_properties";
inline constexpr std::string_view object_above_max = "object_above_max_properties";
inline constexpr std::string_view key_above_max = "object_key_above_max_length";
}  // namespace code

// 400 invalid_request_error with the violation's code and param.
ApiError to_error(Violation violation);

}  // namespace hearth::contract
