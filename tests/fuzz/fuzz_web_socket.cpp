// The receiving side of a WebSocket: any bytes, the same events whatever the pieces, and none that breaks its
// promises. The first byte chooses the longest message that is taken.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/text.hpp"
#include "net/web_socket_parser.hpp"

namespace {

using hearth::net::SocketMessage;
using hearth::net::WebSocketParser;

void demand(bool holds) {
  if (!holds) std::abort();
}

std::string events_of(std::string_view bytes, std::size_t most, std::size_t piece) {
  using Event = WebSocketParser::Event;
  WebSocketParser parser(most);
  std::string seen;
  bool over = false;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    parser.feed(bytes.substr(at, piece));
    for (auto event = parser.next(); event != Event::need_more; event = parser.next()) {
      demand(!over);
      seen += "[" + std::to_string(static_cast<int>(event)) + "|";
      switch (event) {
        case Event::message: {
          const auto message = parser.take_message();
          demand(message.data.size() <= most && !parser.is_amid_message());
          demand(message.kind == SocketMessage::Kind::binary || hearth::text::is_valid_utf8(message.data));
          seen += message.data;
          break;
        }
        case Event::ping:
        case Event::pong:
          demand(parser.payload().size() <= 125);
          seen += parser.payload();
          break;
        case Event::close:
          demand(parser.close_code() == hearth::net::close_code::none_given ||
                 hearth::net::is_sendable_close_code(parser.close_code()));
          demand(hearth::text::is_valid_utf8(parser.close_reason()));
          [[fallthrough]];
        case Event::failed:
          over = true;
          seen += std::to_string(parser.close_code()) + parser.close_reason();
          break;
        case Event::need_more:
          break;
      }
      seen += "]";
    }
    demand(parser.message_bytes() <= most);
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t most = std::size_t{data[0]} * 16;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = events_of(bytes, most, bytes.size() + 1);
  demand(events_of(bytes, most, 1) == whole);
  demand(events_of(bytes, most, 13) == whole);
  return 0;
}
