// The JSON of the whole tree: Boost.JSON, parsed with limits, read by type, written once.
//
// A request's document lives in a monotonic resource (Document) and dies with it; whatever must outlive the
// request is copied out (`json::value(v)` copies into the default resource).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace hearth::json {

using boost::json::array;
using boost::json::kind;
using boost::json::object;
using boost::json::string;
using boost::json::value;

// Deeper documents are refused before they cost stack: the API's own deepest request is under 20.
inline constexpr std::size_t max_depth = 64;

struct ParseFailure {
  std::string message;  // for the client: what is wrong and at which byte
};

// A parsed text and the memory it lives in. Movable; the root's address is stable.
class Document {
 public:
  static std::expected<Document, ParseFailure> parse(std::string_view text);

  value& root() { return *root_; }
  const value& root() const { return *root_; }

 private:
  Document() = default;
  std::unique_ptr<boost::json::monotonic_resource> memory_;
  std::unique_ptr<value> root_;
};

// For texts of our own (the store, an engine's reply): into ordinary memory.
std::expected<value, ParseFailure> parse(std::string_view text);

// Reads that never throw: nullptr or nullopt when the member is absent or of another kind.
const value* find(const object& object, std::string_view name);
const object* find_object(const object& object, std::string_view name);
const array* find_array(const object& object, std::string_view name);
std::optional<std::string_view> find_string(const object& object, std::string_view name);
// Any whole number that fits, also one that was written as 3.0.
std::optional<std::int64_t> find_integer(const object& object, std::string_view name);
std::optional<double> find_number(const object& object, std::string_view name);
std::optional<bool> find_bool(const object& object, std::string_view name);
// Absent and null are the same to the caller.
bool is_absent_or_null(const object& object, std::string_view name);

std::optional<std::int64_t> as_integer(const value& value);
std::optional<double> as_number(const value& value);

std::string_view view(const string& text);
// "object", "array", "string", "integer", "number", "boolean", "null": the words of error messages.
std::string_view kind_name(const value& value);

std::string write(const value& value);
// Appends to `out` without an intermediate copy: event streams write many small documents.
void write_to(std::string& out, const value& value);

}  // namespace hearth::json
