#include "json/json.hpp"

#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace hearth::json {
namespace {

boost::json::parse_options strict_options() {
  boost::json::parse_options options;
  options.max_depth = max_depth;
  return options;
}

// Parses the whole of `text`; nullopt on success with the value in `out`.
std::optional<ParseFailure> parse_into(std::string_view text, boost::json::storage_ptr memory, value& out) {
  unsigned char buffer[4096];
  boost::json::parser parser({}, strict_options(), buffer);
  parser.reset(std::move(memory));
  boost::json::error_code error;
  const std::size_t consumed = parser.write(text.data(), text.size(), error);
  if (error) {
    const bool too_deep = error == boost::json::error::too_deep;
    return ParseFailure{
        too_deep ? fmt::format("The JSON is nested more than {} levels deep.", max_depth)
                 : fmt::format("The JSON is malformed at byte {}: {}.", consumed, error.message())};
  }
  out = parser.release();
  return std::nullopt;
}

}  // namespace

std::expected<Document, ParseFailure> Document::parse(std::string_view text) {
  Document document;
  // Boost.JSON's tree takes about twice the text; starting there avoids most of the growth steps.
  document.memory_ = std::make_unique<boost::json::monotonic_resource>(text.size() * 2 + 512);
  document.root_ = std::make_unique<value>(boost::json::storage_ptr(document.memory_.get()));
  if (auto failure = parse_into(text, document.memory_.get(), *document.root_)) {
    return std::unexpected(std::move(*failure));
  }
  return document;
}

std::expected<value, ParseFailure> parse(std::string_view text) {
  value result;
  if (auto failure = parse_into(text, {}, result)) return std::unexpected(std::move(*failure));
  return result;
}

const value* find(const object& object, std::string_view name) {
  return object.if_contains(name);
}

const object* find_object(const object& object, std::string_view name) {
  const value* member = object.if_contains(name);
  return member ? member->if_object() : nullptr;
}

const array* find_array(const object& object, std::string_view name) {
  const value* member = object.if_contains(name);
  return member ? member->if_array() : nullptr;
}

std::optional<std::string_view> find_string(const object& object, std::string_view name) {
  const value* member = object.if_contains(name);
  if (!member || !member->is_string()) return std::nullopt;
  return view(member->get_string());
}

std::optional<std::int64_t> find_integer(const object& object, std::string_view name) {
  const value* member = object.if_contains(name);
  return member ? as_integer(*member) : std::nullopt;
}

std::optional<double> find_number(const object& object, std::string_view name) {
  const value* member = object.if_contains(name);
  return member ? as_number(*member) : std::nullopt;
}

std::optional<bool> find_bool(const object& object, std::string_view name) {
  const value* member = object.if_contains(name);
  if (!member || !member->is_bool()) return std::nullopt;
  return member->get_bool();
}

bool is_absent_or_null(const object& object, std::string_view name) {
  const value* member = object.if_contains(name);
  return !member || member->is_null();
}

std::optional<std::int64_t> as_integer(const value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_uint64()) {  // parsed ones are beyond int64, made ones need not be
    if (std::in_range<std::int64_t>(value.get_uint64())) return static_cast<std::int64_t>(value.get_uint64());
    return std::nullopt;
  }
  if (value.is_double()) {
    const double number = value.get_double();
    constexpr double limit = 9007199254740992.0;  // 2^53: beyond it a double is no exact integer
    if (std::trunc(number) == number && std::abs(number) <= limit) return static_cast<std::int64_t>(number);
  }
  return std::nullopt;
}

std::optional<double> as_number(const value& value) {
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  if (value.is_double()) return value.get_double();
  return std::nullopt;
}

std::string_view view(const string& text) {
  return {text.data(), text.size()};
}

std::string_view kind_name(const value& value) {
  switch (value.kind()) {
    case kind::null:
      return "null";
    case kind::bool_:
      return "boolean";
    case kind::int64:
    case kind::uint64:
      return "integer";
    case kind::double_:
      return "number";
    case kind::string:
      return "string";
    case kind::array:
      return "array";
    case kind::object:
      return "object";
  }
  return "value";
}

void write_to(std::string& out, const value& value) {
  boost::json::serializer serializer;
  serializer.reset(&value);
  while (!serializer.done()) {
    char buffer[4096];
    const auto piece = serializer.read(buffer);
    out.append(piece.data(), piece.size());
  }
}

std::string write(const value& value) {
  std::string out;
  write_to(out, value);
  return out;
}

}  // namespace hearth::json
