// The event-stream parser: any bytes, the same events whatever the pieces, and what is rendered comes back.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "net/sse.hpp"

namespace {

using hearth::net::SseEvent;
using hearth::net::SseParser;

struct Result {
  std::vector<SseEvent> events;
  bool failed = false;
};

Result parse(std::string_view text, std::size_t piece) {
  SseParser parser(4096);
  Result result;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    parser.feed(text.substr(at, piece));
    while (auto event = parser.next())
      result.events.push_back(std::move(*event));
  }
  result.failed = parser.failed();
  return result;
}

bool same(const std::vector<SseEvent>& left, const std::vector<SseEvent>& right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].event != right[i].event || left[i].data != right[i].data) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto whole = parse(text, size + 1);
  const auto bytes = parse(text, 1);
  if (whole.failed != bytes.failed || !same(whole.events, bytes.events)) std::abort();
  std::string rendered;
  for (const auto& event : whole.events)
    hearth::net::render_sse(rendered, event.event, event.data);
  // A mark at the very start would be taken for the stream's.
  const auto again = parse(rendered, 7);
  if (!again.failed && !same(again.events, whole.events)) std::abort();
  return 0;
}
