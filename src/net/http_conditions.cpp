#include "net/http_conditions.hpp"

#include <algorithm>
#include <charconv>
#include <curl/curl.h>
#include <limits>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/text.hpp"

namespace hearth::net {
namespace {

constexpr std::size_t longest_file_name = 200;  // bytes
constexpr std::uint64_t beyond = std::numeric_limits<std::uint64_t>::max();

std::string_view trim(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  return text;
}

// A field that came in several lines is one list.
std::optional<std::string> find_list(const Headers& headers, std::string_view name) {
  std::optional<std::string> list;
  for (const auto& [field, value] : headers.entries()) {
    if (!text::equals_ignore_case(field.view(), name)) continue;
    list = list ? *list + ", " + value : value;
  }
  return list;
}

enum class Comparison { strong, weak };

bool is_tag_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x21 && byte != '"' && byte != 0x7F;
}

// Whether a list of entity tags, or "*", names the current one. A list that is malformed names nothing behind
// the fault.
bool names_tag(std::string_view list, std::string_view current, Comparison comparison) {
  list = trim(list);
  if (list == "*") return true;
  while (!list.empty()) {
    if (list.front() == ',' || list.front() == ' ' || list.front() == '\t') {
      list.remove_prefix(1);
      continue;
    }
    const bool is_weak = list.starts_with("W/");
    if (is_weak) list.remove_prefix(2);
    if (!list.starts_with('"')) return false;
    const std::size_t end = list.find('"', 1);
    if (end == std::string_view::npos) return false;
    const std::string_view tag = list.substr(0, end + 1);
    if (!std::ranges::all_of(tag.substr(1, end - 1), is_tag_character)) return false;
    if (!current.empty() && tag == current && (!is_weak || comparison == Comparison::weak)) return true;
    list = trim(list.substr(end + 1));
    if (!list.empty() && list.front() != ',') return false;
  }
  return false;
}

// nullopt where there is no such field, or its date cannot be read.
std::optional<UnixSeconds> find_date(const Headers& headers, std::string_view name) {
  if (!headers.contains(name)) return std::nullopt;
  return parse_http_date(headers.get(name));
}

// One that does not fit is larger than any resource.
std::optional<std::uint64_t> parse_position(std::string_view digits) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || end != digits.data() + digits.size()) return std::nullopt;
  return error == std::errc() ? number : beyond;
}

// The one range of "bytes=first-last", "bytes=first-" or "bytes=-suffix"; whole where it is to be ignored.
Selection select_range(std::string_view range, std::uint64_t size) {
  const Selection whole{Selection::Kind::whole, 0, size};
  const std::size_t equals = range.find('=');
  if (equals == std::string_view::npos || !text::equals_ignore_case(range.substr(0, equals), "bytes"))
    return whole;
  range = trim(range.substr(equals + 1));
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return whole;
  const std::string_view before = range.substr(0, dash);
  const std::string_view after = range.substr(dash + 1);
  const Selection unsatisfiable{Selection::Kind::unsatisfiable, 0, 0};
  if (before.empty()) {
    const auto suffix = parse_position(after);
    if (!suffix) return whole;
    if (*suffix == 0) return unsatisfiable;
    if (size == 0) return whole;  // satisfied, though a 206 of nothing cannot be written
    const std::uint64_t length = std::min(*suffix, size);
    return {Selection::Kind::part, size - length, length};
  }
  const auto first = parse_position(before);
  const auto last = after.empty() ? std::optional(beyond) : parse_position(after);
  if (!first || !last || *last < *first) return whole;
  if (*first >= size) return unsatisfiable;
  return {Selection::Kind::part, *first, std::min(*last, size - 1) - *first + 1};
}

// Whether what the client has a part of is still what there is.
bool holds_if_range(std::string_view condition, const Validators& validators) {
  condition = trim(condition);
  if (condition.starts_with('"') || condition.starts_with("W/"))
    return names_tag(condition, validators.etag, Comparison::strong);
  const auto date = parse_http_date(condition);
  return date && validators.last_modified && *date == *validators.last_modified;
}

}  // namespace

Selection select_bytes(std::string_view method, const Headers& request, const Validators& validators,
                       std::uint64_t size) {
  const Selection whole{Selection::Kind::whole, 0, size};
  const Selection failed{Selection::Kind::precondition_failed, 0, 0};
  const bool reads = method == "GET" || method == "HEAD";
  if (const auto list = find_list(request, "if-match")) {
    if (!names_tag(*list, validators.etag, Comparison::strong)) return failed;
  } else if (const auto date = find_date(request, "if-unmodified-since"); date && validators.last_modified) {
    if (*validators.last_modified > *date) return failed;
  }
  const Selection not_modified{Selection::Kind::not_modified, 0, 0};
  if (const auto list = find_list(request, "if-none-match")) {
    if (names_tag(*list, validators.etag, Comparison::weak)) return reads ? not_modified : failed;
  } else if (const auto date = find_date(request, "if-modified-since");
             date && reads && validators.last_modified) {
    if (*validators.last_modified <= *date) return not_modified;
  }
  if (method != "GET" || !request.contains("range")) return whole;
  if (request.contains("if-range") && !holds_if_range(request.get("if-range"), validators)) return whole;
  return select_range(trim(request.get("range")), size);
}

std::optional<UnixSeconds> parse_http_date(std::string_view text) {
  // Every form names the day first; curl would read much else besides.
  text = trim(text);
  constexpr std::string_view days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  if (text.size() > 40 ||
      std::ranges::none_of(days, [&](std::string_view day) { return text.starts_with(day); }))
    return std::nullopt;
  const auto time = curl_getdate(std::string(text).c_str(), nullptr);
  if (time == -1) return std::nullopt;
  return UnixSeconds{time};
}

std::string render_http_date(UnixSeconds time) {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(static_cast<std::time_t>(time)));
}

std::string render_attachment(std::string_view file_name) {
  if (const auto separator = file_name.find_last_of("/\\"); separator != std::string_view::npos)
    file_name.remove_prefix(separator + 1);
  std::string name;
  if (text::is_valid_utf8(file_name)) {
    for (const char c : text::truncate_utf8(file_name, longest_file_name)) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte != 0x7F) name += c;
    }
  }
  if (name.empty() || name == "." || name == "..") return "attachment";
  std::string plain;     // for clients that know no other
  std::string extended;  // all of it
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_attribute = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                              (byte >= 'a' && byte <= 'z') || std::string_view("-._~!#$&+^`|").contains(c);
    extended += is_attribute ? std::string(1, c) : fmt::format("%{:02X}", byte);
    // The bytes behind the first of a character beyond ASCII stand for nothing of their own.
    if (byte < 0x80) plain += c == '"' || c == '%' || c == ';' ? '_' : c;
    if (byte >= 0xC0) plain += '_';
  }
  if (plain == name) return fmt::format("attachment; filename=\"{}\"", plain);
  return fmt::format("attachment; filename=\"{}\"; filename*=UTF-8''{}", plain, extended);
}

}  // namespace hearth::net
