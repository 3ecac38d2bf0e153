#include "db/postgres_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "base/text.hpp"

namespace hearth::db {
namespace {

constexpr TypeId type_bool = 16;
constexpr TypeId type_bytea = 17;
constexpr TypeId type_int8 = 20;
constexpr TypeId type_int2 = 21;
constexpr TypeId type_int4 = 23;
constexpr TypeId type_text = 25;
constexpr TypeId type_float4 = 700;
constexpr TypeId type_float8 = 701;
constexpr TypeId type_numeric = 1700;

constexpr char escape = '\x01';
constexpr char escaped_nul = '\x01';
constexpr char escaped_escape = '\x02';
constexpr unsigned nibble_base = 0x10;  // an invalid byte becomes the escape and two bytes 10 to 1F

// The length of the valid sequence that begins `text`, 0 when none does.
std::size_t sequence_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return text.size() >= length && text::is_valid_utf8(text.substr(0, length)) ? length : 0;
}

template <class Number>
Number parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error(ErrorKind::statement, fmt::format("PostgreSQL: not a number: {}", text));
  }
  return number;
}

// The value of a hexadecimal digit; -1 for anything else.
int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// SUM of BIGINT is NUMERIC.
Value parse_numeric(std::string_view text) {
  const std::size_t point = text.find('.');
  const bool integral =
      text.find_first_not_of("-0123456789.") == std::string_view::npos &&
      (point == std::string_view::npos || text.find_first_not_of('0', point + 1) == std::string_view::npos);
  if (integral) return parse_number<std::int64_t>(text.substr(0, point));
  return parse_number<double>(text);
}

// "\x" and two hexadecimal digits a byte: sessions ask for this form.
Value parse_bytes(std::string_view text) {
  Bytes bytes;
  if (!text.starts_with("\\x") || text.size() % 2 != 0) {
    throw Error(ErrorKind::statement, "PostgreSQL: bytes came in another form than hexadecimal");
  }
  text.remove_prefix(2);
  bytes.content.resize_and_overwrite(text.size() / 2, [&](char* out, std::size_t size) {
    bool good = true;
    for (std::size_t i = 0; i < size; ++i) {
      const int high = digit_value(text[2 * i]);
      const int low = digit_value(text[2 * i + 1]);
      good = good && high >= 0 && low >= 0;
      out[i] = static_cast<char>(high * 16 + low);
    }
    return good ? size : 0;
  });
  if (bytes.content.size() != text.size() / 2) {
    throw Error(ErrorKind::statement, "PostgreSQL: bytes hold something else than hexadecimal digits");
  }
  return bytes;
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Walks over SQL and calls `plain(position)` for every position that is in no quotes and no comment; what it
// returns is where to go on.
template <class Plain>
void walk_sql(std::string_view sql, Plain plain) {
  for (std::size_t at = 0; at < sql.size();) {
    if (sql[at] == '\'' || sql[at] == '"') {
      const std::size_t end = sql.find(sql[at], at + 1);
      at = end == std::string_view::npos ? sql.size() : end + 1;
    } else if (sql.substr(at).starts_with("--")) {
      at = std::min(sql.find('\n', at), sql.size());
    } else {
      at = plain(at);
    }
  }
}

}  // namespace

bool needs_escape(std::string_view text) {
  return text.find('\0') != std::string_view::npos || text.find(escape) != std::string_view::npos ||
         !text::is_valid_utf8(text);
}

std::string escape_text(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(text[0]);
      out += escape;
      out += static_cast<char>(nibble_base + (byte >> 4));
      out += static_cast<char>(nibble_base + (byte & 0xF));
    } else if (text[0] == '\0' || text[0] == escape) {
      out += escape;
      out += text[0] == '\0' ? escaped_nul : escaped_escape;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string unescape_text(std::string_view stored) {
  std::string out;
  out.reserve(stored.size());
  const auto nibble = [&](std::size_t at) -> unsigned {
    const unsigned value = at < stored.size() ? static_cast<unsigned char>(stored[at]) : 0U;
    return value - nibble_base;  // wraps around to something large below the base
  };
  for (std::size_t at = 0; at < stored.size();) {
    const std::size_t next = std::min(stored.find(escape, at), stored.size());
    out += stored.substr(at, next - at);
    at = next;
    if (at == stored.size()) break;
    const char kind = at + 1 < stored.size() ? stored[at + 1] : '\0';
    if (kind == escaped_nul || kind == escaped_escape) {
      out += kind == escaped_nul ? '\0' : escape;
      at += 2;
    } else if (nibble(at + 1) >= 8 && nibble(at + 1) < 16 && nibble(at + 2) < 16) {
      out += static_cast<char>(nibble(at + 1) << 4 | nibble(at + 2));
      at += 3;
    } else {
      out += stored[at++];
    }
  }
  return out;
}

TypeId type_of(const Param& param) {
  struct Type {
    TypeId operator()(std::monostate) const { return 0; }  // whatever the place takes
    TypeId operator()(std::int64_t) const { return type_int8; }
    TypeId operator()(double) const { return type_float8; }
    TypeId operator()(std::string_view) const { return type_text; }
    TypeId operator()(BytesView) const { return type_bytea; }
  };
  return std::visit(Type{}, param.content());
}

Value parse_column(TypeId type, std::string_view text) {
  switch (type) {
    case type_bool:
      return std::int64_t{text == "t"};
    case type_int2:
    case type_int4:
    case type_int8:
      return parse_number<std::int64_t>(text);
    case type_float4:
    case type_float8:
      return parse_number<double>(text);
    case type_numeric:
      return parse_numeric(text);
    case type_bytea:
      return parse_bytes(text);
    default:
      if (text.find(escape) != std::string_view::npos) return unescape_text(text);
      return std::string(text);
  }
}

std::string to_own_types(std::string_view script) {
  std::string out;
  std::size_t copied = 0;
  std::string_view before;  // the word before
  walk_sql(script, [&](std::size_t at) {
    if (!is_word(script[at])) return at + 1;
    std::size_t end = at;
    while (end < script.size() && is_word(script[end]))
      ++end;
    const std::string_view current = script.substr(at, end - at);
    if (text::equals_ignore_case(current, "TEXT") && !text::equals_ignore_case(before, "AS")) {
      out += script.substr(copied, end - copied);
      out += " COLLATE \"C\"";
      copied = end;
    } else if (text::equals_ignore_case(current, "BLOB")) {
      out += script.substr(copied, at - copied);
      out += "BYTEA";
      copied = end;
    }
    before = current;
    return end;
  });
  out += script.substr(copied);
  return out;
}

std::size_t count_placeholders(std::string_view sql) {
  std::size_t highest = 0;
  walk_sql(sql, [&](std::size_t at) {
    if (sql[at] != '$') return at + 1;
    std::size_t number = 0;
    const char* begin = sql.data() + at + 1;
    const auto [end, error] = std::from_chars(begin, sql.data() + sql.size(), number);
    if (error == std::errc()) highest = std::max(highest, number);
    return at + 1 + static_cast<std::size_t>(end - begin);
  });
  return highest;
}

}  // namespace hearth::db
