// The multipart parser: any bytes, the same parts whatever the pieces. The first line is the Content-Type.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "net/multipart.hpp"

namespace {

using hearth::net::MultipartParser;

struct Seen {
  std::string text;  // all of it, to compare
  bool complete = false;
  bool operator==(const Seen&) const = default;
};

Seen parse(const std::string& boundary, std::string_view body, std::size_t piece) {
  using Event = MultipartParser::Event;
  MultipartParser parser(boundary, {.header_bytes = 512, .parts = 16});
  Seen result;
  auto& [seen, complete] = result;
  const auto take = [&] {
    for (;;) {
      switch (parser.next()) {
        case Event::need_more:
          return;
        case Event::part_begin:
          seen += "[begin " + parser.part().name + "|" + parser.part().filename.value_or("-") + "|" +
                  parser.part().content_type + "]";
          break;
        case Event::part_data:
          if (parser.data().empty()) std::abort();
          seen += parser.data();
          break;
        case Event::part_end:
          seen += "[end]";
          break;
        case Event::done:
          complete = true;
          return;
        case Event::failed:
          if (parser.failure().empty()) std::abort();
          return;
      }
    }
  };
  for (std::size_t at = 0; at < body.size() && !complete; at += piece) {
    parser.feed(body.substr(at, piece));
    take();
  }
  parser.finish();
  if (!complete) take();
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  const auto boundary = MultipartParser::boundary_of(text.substr(0, line));
  if (!boundary) return 0;
  const auto body = text.substr(line + 1);
  const auto bytes = parse(*boundary, body, 1);
  // Pieces differ in how far a body that fails is seen, never in what a complete one holds.
  if (!bytes.complete) return 0;
  if (parse(*boundary, body, body.size() + 1) != bytes || parse(*boundary, body, 13) != bytes) std::abort();
  return 0;
}
