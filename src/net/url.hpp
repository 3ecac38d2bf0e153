// Percent encoding and query strings. Source: RFC 3986 section 2; queries as forms write them ('+' is a
// space).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::net {

// nullopt when a '%' is not followed by two hexadecimal digits, or the result holds a NUL.
std::optional<std::string> decode_percent(std::string_view text);
// Everything but unreserved characters is escaped: safe in a path segment, a name and a value.
std::string encode_percent(std::string_view text);

using QueryPairs = std::vector<std::pair<std::string, std::string>>;
// Of "a=1&b=x+y&c": order and repeats are kept, an empty part is skipped, a name without '=' has an empty
// value. nullopt on a bad escape.
std::optional<QueryPairs> parse_query(std::string_view query);
std::string render_query(const QueryPairs& pairs);

}  // namespace hearth::net
