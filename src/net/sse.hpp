// Server-sent events, sans-io: rendering for the server, an incremental parser for engines and upstreams.
// Source of the format: the HTML standard, section "Server-sent events".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::net {

struct SseEvent {
  std::string event;  // empty when the stream names none
  std::string data;   // lines joined by '\n'
};

// Appends one event to `out`. `data` may hold line breaks; `event` may not (they are dropped).
void render_sse(std::string& out, std::string_view event, std::string_view data);

// Feed bytes as they come, then take events until none is left. Bounded: an event above `max_event_bytes`
// makes failed() true, and the parser ignores what follows.
class SseParser {
 public:
  explicit SseParser(std::size_t max_event_bytes = 8 * 1024 * 1024) : max_event_bytes_(max_event_bytes) {}
  void feed(std::string_view bytes);
  std::optional<SseEvent> next();
  bool failed() const { return failed_; }

 private:
  void take_line(std::string_view line);

  std::size_t max_event_bytes_;
  std::string buffer_;
  std::size_t position_ = 0;  // where the unread bytes of buffer_ begin
  std::size_t scanned_ = 0;   // no line ends before this
  SseEvent current_;
  bool has_data_ = false;
  bool at_start_ = true;
  bool after_carriage_return_ = false;
  bool failed_ = false;
};

}  // namespace hearth::net
