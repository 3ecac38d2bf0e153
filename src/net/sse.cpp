#include "net/sse.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace hearth::net {
namespace {
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
}

void render_sse(std::string& out, std::string_view event, std::string_view data) {
  if (!event.empty()) {
    out += "event: ";
    std::ranges::copy_if(event, std::back_inserter(out), [](char c) { return c != '\r' && c != '\n'; });
    out += '\n';
  }
  // Each line of the data is a field of its own; all three kinds of line end count.
  for (;;) {
    const auto end = data.find_first_of("\r\n");
    out += "data: ";
    out += data.substr(0, end);
    out += '\n';
    if (end == std::string_view::npos) break;
    data.remove_prefix(data.substr(end, 2) == "\r\n" ? end + 2 : end + 1);
  }
  out += '\n';
}

void SseParser::feed(std::string_view bytes) {
  if (failed_) return;
  if (position_ > 0) {
    buffer_.erase(0, position_);
    position_ = 0;
    scanned_ = 0;
  }
  buffer_ += bytes;
}

std::optional<SseEvent> SseParser::next() {
  while (!failed_) {
    if (at_start_) {
      const auto head = std::string_view(buffer_).substr(position_, byte_order_mark.size());
      if (head.size() < byte_order_mark.size() && byte_order_mark.starts_with(head)) return std::nullopt;
      if (head == byte_order_mark) position_ += byte_order_mark.size();
      at_start_ = false;
    }
    // The line feed of a "\r\n" whose first half ended the line before.
    if (after_carriage_return_ && position_ < buffer_.size()) {
      if (buffer_[position_] == '\n') ++position_;
      after_carriage_return_ = false;
    }
    const auto end = buffer_.find_first_of("\r\n", std::max(position_, scanned_));
    const auto pending = (end == std::string::npos ? buffer_.size() : end) - position_;
    if (current_.data.size() + current_.event.size() + pending > max_event_bytes_) {
      failed_ = true;
      buffer_.clear();
      current_ = {};
      break;
    }
    if (end == std::string::npos) {
      buffer_.erase(0, position_);
      position_ = 0;
      scanned_ = buffer_.size();
      return std::nullopt;
    }
    const auto line = std::string_view(buffer_).substr(position_, end - position_);
    after_carriage_return_ = buffer_[end] == '\r';
    position_ = end + 1;
    scanned_ = 0;
    if (!line.empty()) {
      take_line(line);
    } else if (has_data_) {
      has_data_ = false;
      return std::exchange(current_, {});
    } else {
      current_ = {};
    }
  }
  return std::nullopt;
}

void SseParser::take_line(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == 0) return;  // a comment
  const auto field = line.substr(0, colon);
  auto value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) current_.data += '\n';
    current_.data += value;
    has_data_ = true;
  } else if (field == "event") {
    current_.event = value;
  }  // "id" and "retry" serve reconnecting browsers; none reads through here
}

}  // namespace hearth::net
