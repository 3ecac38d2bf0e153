#include "net/http_render.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <ctime>

#include "base/text.hpp"
#include "json/json.hpp"
#include "net/http_parser.hpp"

namespace hearth::net {
namespace {

bool is_framing(std::string_view name) {
  switch (name.size()) {
    case 10:
      return text::equals_ignore_case(name, "connection") || text::equals_ignore_case(name, "keep-alive");
    case 14:
      return text::equals_ignore_case(name, "content-length");
    case 17:
      return text::equals_ignore_case(name, "transfer-encoding");
    default:
      return false;
  }
}

// The Date header's line, rendered once per second and thread.
std::string_view date_line() {
  thread_local std::time_t rendered = -1;
  thread_local std::array<char, 48> line;
  thread_local std::size_t size = 0;
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (now != rendered) {
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    size = std::strftime(line.data(), line.size(), "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
    rendered = now;
  }
  return {line.data(), size};
}

}  // namespace

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  const auto start = out.size();
  out += value;
  for (auto i = start; i < out.size(); ++i) {
    if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') out[i] = ' ';
  }
  out += "\r\n";
}

void append_header(std::string& out, std::string_view name, std::uint64_t value) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  append_header(out, name, std::string_view(digits.data(), end));
}

void append_headers(std::string& out, const Headers& headers) {
  for (const auto& [name, value] : headers.entries()) {
    if (!is_framing(name.view())) append_header(out, name.view(), value);
  }
}

void append_status_line(std::string& out, int status) {
  out += "HTTP/1.1 ";
  out += std::to_string(status);
  out += ' ';
  out += reason_phrase(status);
  out += "\r\n";
  out += date_line();
}

bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    auto item = list.substr(0, comma);
    while (item.starts_with(' ') || item.starts_with('\t'))
      item.remove_prefix(1);
    while (item.ends_with(' ') || item.ends_with('\t'))
      item.remove_suffix(1);
    if (text::equals_ignore_case(item, token)) return true;
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
  return false;
}

std::string render_error_body(const ApiError& error) {
  const auto optional = [](const std::optional<std::string>& text) {
    return text ? json::value(*text) : json::value(nullptr);
  };
  json::object body;
  body["message"] = error.message();
  body["type"] = error.type();
  body["param"] = optional(error.param());
  body["code"] = optional(error.code());
  return json::write(json::object{{"error", std::move(body)}});
}

}  // namespace hearth::net
