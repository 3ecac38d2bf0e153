#include "net/multipart.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "contract/percent.hpp"

namespace hearth::net {
namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::size_t longest_boundary = 70;
constexpr std::size_t longest_padding = 64;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

struct Parameterized {
  std::string_view value;
  std::vector<std::pair<std::string_view, std::string>> parameters;

  const std::string* find(std::string_view name) const {
    for (const auto& [key, content] : parameters) {
      if (text::equals_ignore_case(key, name)) return &content;
    }
    return nullptr;
  }
};

// A quoted value from behind its first quote; `text` is left behind its last. Only quotes and backslashes are
// taken as escaped: clients send Windows paths with single backslashes.
std::optional<std::string> take_quoted(std::string_view& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return out;
    }
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) ++i;
    out += text[i];
  }
  return std::nullopt;
}

// "UTF-8''na%C3%AFve.txt": RFC 7578 forbids it in forms, and clients send it all the same.
std::optional<std::string> decode_extended(std::string_view value) {
  constexpr std::string_view charset = "utf-8'";
  if (value.size() < charset.size() || !text::equals_ignore_case(value.substr(0, charset.size()), charset))
    return std::nullopt;
  const auto language_end = value.find('\'', charset.size());
  if (language_end == std::string_view::npos) return std::nullopt;
  auto decoded = contract::percent_decode(value.substr(language_end + 1), contract::Plus::literal);
  if (!decoded || !text::is_valid_utf8(*decoded)) return std::nullopt;
  return decoded;
}

// Bytes of a part are taken as they are.
bool is_plain_encoding(std::string_view encoding) {
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{"7bit", "8bit", "binary"},
      [&](std::string_view plain) { return text::equals_ignore_case(plain, encoding); });
}

// "value; name=token; name="quoted""; nullopt when malformed or a parameter repeats.
std::optional<Parameterized> parse_parameterized(std::string_view text) {
  Parameterized result;
  const auto first = text.find(';');
  result.value = trim(text.substr(0, first));
  text = first == std::string_view::npos ? std::string_view() : text.substr(first + 1);
  while (!(text = trim(text)).empty()) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const auto name = trim(text.substr(0, equals));
    if (name.empty() || name.find_first_of("; \"") != std::string_view::npos || result.find(name)) {
      return std::nullopt;
    }
    text = trim(text.substr(equals + 1));
    std::string value;
    if (text.starts_with('"')) {
      text.remove_prefix(1);
      auto quoted = take_quoted(text);
      if (!quoted) return std::nullopt;
      value = std::move(*quoted);
      text = trim(text);
      if (!text.empty() && text.front() != ';') return std::nullopt;
    } else {
      const auto end = std::min(text.find(';'), text.size());
      value = trim(text.substr(0, end));
      text.remove_prefix(end);
    }
    if (!text.empty()) text.remove_prefix(1);
    result.parameters.emplace_back(name, std::move(value));
  }
  return result;
}

bool is_boundary_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos;
}

}  // namespace

std::optional<std::string> MultipartParser::boundary_of(std::string_view content_type) {
  const auto parsed = parse_parameterized(content_type);
  if (!parsed || !text::equals_ignore_case(parsed->value, "multipart/form-data")) return std::nullopt;
  const auto* boundary = parsed->find("boundary");
  if (!boundary || boundary->empty() || boundary->size() > longest_boundary || boundary->ends_with(' ') ||
      !std::ranges::all_of(*boundary, is_boundary_char)) {
    return std::nullopt;
  }
  return *boundary;
}

// The first boundary needs no line end before it: the buffer begins with one.
MultipartParser::MultipartParser(std::string_view boundary, MultipartLimits limits)
    : limits_(limits), delimiter_("\r\n--"), buffer_(line_end) {
  delimiter_ += boundary;
}

void MultipartParser::feed(std::string_view bytes) {
  if (state_ == State::end || state_ == State::failed) return;
  data_ = {};
  buffer_.erase(0, position_);
  position_ = 0;
  buffer_ += bytes;
}

MultipartParser::Event MultipartParser::fail(std::string message) {
  state_ = State::failed;
  failure_ = std::move(message);
  buffer_.clear();
  position_ = 0;
  return Event::failed;
}

MultipartParser::Event MultipartParser::starve() {
  if (finished_) return fail("The multipart body ends before its final boundary.");
  return Event::need_more;
}

MultipartParser::Event MultipartParser::next() {
  data_ = {};
  for (;;) {
    switch (state_) {
      case State::end:
        return Event::done;
      case State::failed:
        return Event::failed;

      case State::preamble: {
        const auto found = rest().find(delimiter_);
        if (found == std::string_view::npos) {
          position_ += rest().size() - std::min(rest().size(), delimiter_.size() - 1);
          return starve();
        }
        position_ += found + delimiter_.size();
        state_ = State::after_boundary;
        break;
      }

      case State::after_boundary: {
        auto text = rest();
        if (text.starts_with("--")) {
          state_ = State::end;
          buffer_.clear();
          position_ = 0;
          return Event::done;
        }
        const auto padding = std::min(text.find_first_not_of(" \t"), text.size());
        if (padding > longest_padding) return fail("A multipart boundary line is malformed.");
        text.remove_prefix(padding);
        if (text.size() < 2) {
          const bool possible = text.empty() || text[0] == '\r' || (padding == 0 && text[0] == '-');
          return possible ? starve() : fail("A multipart boundary line is malformed.");
        }
        if (!text.starts_with(line_end)) return fail("A multipart boundary line is malformed.");
        if (++parts_ > limits_.parts) return fail("The multipart body has too many parts.");
        position_ += padding;  // the line end stays: it may be the one before an empty header's end
        state_ = State::header;
        break;
      }

      case State::header: {
        const auto text = rest();
        const auto end = text.find("\r\n\r\n");
        if (std::min(end, text.size()) > limits_.header_bytes)
          return fail("A multipart header is too large.");
        if (end == std::string_view::npos) return starve();
        part_ = {};
        const auto header = end == 0 ? std::string_view() : text.substr(2, end - 2);
        if (!read_header(header)) {
          return fail(
              "A multipart part needs the header 'Content-Disposition: form-data' with a name, and no "
              "transfer "
              "encoding.");
        }
        position_ += end + 2;
        state_ = State::body_start;
        return Event::part_begin;
      }

      case State::body_start: {
        // The empty line may be the line end of the next boundary: a part without any body.
        const auto text = rest();
        if (text.size() < delimiter_.size() && delimiter_.starts_with(text)) return starve();
        if (!text.starts_with(delimiter_)) position_ += line_end.size();
        state_ = State::body;
        break;
      }

      case State::body:
        return next_in_body();
    }
  }
}

MultipartParser::Event MultipartParser::next_in_body() {
  const auto text = rest();
  const auto found = text.find(delimiter_);
  if (found == 0) {
    position_ += delimiter_.size();
    state_ = State::after_boundary;
    return Event::part_end;
  }
  // Without a boundary in sight all but the bytes that may begin one are the part's.
  const auto size =
      found != std::string_view::npos ? found : text.size() - std::min(text.size(), delimiter_.size() - 1);
  if (size == 0) return starve();
  data_ = text.substr(0, size);
  position_ += size;
  return Event::part_data;
}

bool MultipartParser::read_header(std::string_view header) {
  bool has_name = false;
  while (!header.empty()) {
    const auto end = header.find(line_end);
    const auto line = header.substr(0, end);
    header = end == std::string_view::npos ? std::string_view() : header.substr(end + 2);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 ||
        line.find_first_of("\r\n") != std::string_view::npos || line.find('\0') != std::string_view::npos) {
      return false;
    }
    const auto name = line.substr(0, colon);
    const auto value = trim(line.substr(colon + 1));
    if (text::equals_ignore_case(name, "content-disposition")) {
      if (has_name || !read_disposition(value)) return false;
      has_name = true;
    } else if (text::equals_ignore_case(name, "content-type")) {
      part_.content_type = value;
    } else if (text::equals_ignore_case(name, "content-transfer-encoding") && !is_plain_encoding(value)) {
      return false;
    }
  }
  return has_name;
}

bool MultipartParser::read_disposition(std::string_view value) {
  const auto parsed = parse_parameterized(value);
  if (!parsed || !text::equals_ignore_case(parsed->value, "form-data")) return false;
  const auto* name = parsed->find("name");
  if (!name) return false;
  part_.name = *name;
  if (const auto* filename = parsed->find("filename")) part_.filename = *filename;
  if (const auto* extended = parsed->find("filename*")) {
    if (auto decoded = decode_extended(*extended)) part_.filename = std::move(*decoded);
  }
  return true;
}

}  // namespace hearth::net
