// For the tests of WebSockets: frames as bytes, well and badly made, and a client that speaks them. Nothing
// here is shared with what is tested.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/test_server.hpp"
#include "net/web_socket.hpp"

namespace hearth::net::testing {

namespace opcode {
inline constexpr int continuation = 0;
inline constexpr int text = 1;
inline constexpr int binary = 2;
inline constexpr int close = 8;
inline constexpr int ping = 9;
inline constexpr int pong = 10;
}  // namespace opcode

struct FrameForm {
  bool final = true;
  int reserved = 0;
  bool masked = true;
  int length_bytes = -1;                           // 0, 2 or 8; -1 = the shortest form
  std::optional<std::uint64_t> length;             // another one than the payload's
  std::string_view key = {"\x37\xfa\x21\x3d", 4};  // of the mask
};

inline std::string frame(int code, std::string_view payload, const FrameForm& form = {}) {
  std::string out;
  out += static_cast<char>((form.final ? 0x80 : 0) | form.reserved << 4 | code);
  const std::uint64_t length = form.length.value_or(payload.size());
  const int width = form.length_bytes >= 0 ? form.length_bytes : length < 126 ? 0 : length < 65536 ? 2 : 8;
  const int mask = form.masked ? 0x80 : 0;
  out += static_cast<char>(mask | (width == 0 ? static_cast<int>(length) : width == 2 ? 126 : 127));
  for (int at = width - 1; at >= 0; --at)
    out += static_cast<char>(length >> (8 * at) & 0xFF);
  if (!form.masked) return out.append(payload);
  out += form.key;
  for (std::size_t at = 0; at < payload.size(); ++at)
    out += static_cast<char>(payload[at] ^ form.key[at % 4]);
  return out;
}

inline std::string close_frame(int code, std::string_view reason = {}) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
  return frame(opcode::close, payload.append(reason));
}

// One frame of a server. Its rules (no mask, no reserved bits, the shortest length) are judged here.
struct ServerFrame {
  int code = 0;
  bool final = true;
  std::string payload;

  int close_code() const {
    if (payload.size() < 2) return 0;
    return static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
  }
  std::string close_reason() const { return payload.size() < 2 ? "" : payload.substr(2); }
};

// Takes a whole frame off the front; nullopt when there is none.
inline std::optional<ServerFrame> take_frame(std::string& bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const auto byte = [&](std::size_t at) { return std::uint64_t{static_cast<unsigned char>(bytes[at])}; };
  EXPECT_EQ(byte(0) & 0x70, 0u) << "reserved bits";
  EXPECT_EQ(byte(1) & 0x80, 0u) << "a server masks nothing";
  std::uint64_t length = byte(1) & 0x7F;
  const std::size_t width = length == 126 ? 2 : length == 127 ? 8 : 0;
  if (bytes.size() < 2 + width) return std::nullopt;
  if (width > 0) {
    length = 0;
    for (std::size_t at = 0; at < width; ++at)
      length = length << 8 | byte(2 + at);
    EXPECT_GE(length, width == 2 ? 126u : 65536u) << "not the shortest form";
  }
  if (bytes.size() - 2 - width < length) return std::nullopt;
  ServerFrame result{static_cast<int>(byte(0) & 15), (byte(0) & 0x80) != 0, bytes.substr(2 + width, length)};
  bytes.erase(0, 2 + width + length);
  return result;
}

inline std::string handshake(std::string_view headers = {}, std::string_view target = "/socket") {
  return "GET " + std::string(target) +
         " HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
         std::string(headers) + "\r\n";
}

// A connection that was upgraded; every wait ends after five seconds at the most.
class SocketClient {
 public:
  static Task<SocketClient> open(TestServer& server, std::string_view headers = {}) {
    co_return co_await open(co_await server.connect(), headers);
  }
  static Task<SocketClient> open(std::unique_ptr<RawClient> raw, std::string_view headers = {},
                                 std::string_view target = "/socket") {
    SocketClient client(std::move(raw));
    co_await client.send(handshake(headers, target));
    client.reply_ = co_await client.raw().read_until("\r\n\r\n");
    EXPECT_TRUE(client.reply_.starts_with("HTTP/1.1 101 ")) << client.reply_;
    co_return client;
  }

  RawClient& raw() { return *raw_; }
  const std::string& reply() const { return reply_; }
  Task<void> send(std::string bytes) { co_await raw_->send(std::move(bytes)); }
  Task<void> say(std::string_view text) { co_await send(frame(opcode::text, text)); }
  // nullopt at the connection's end.
  Task<std::optional<ServerFrame>> read() {
    for (;;) {
      if (auto taken = take_frame(unread_)) co_return taken;
      auto more = co_await raw_->read_some();
      if (more.empty()) co_return std::nullopt;
      unread_ += more;
    }
  }
  Task<std::string> read_text() {
    const auto got = co_await read();
    EXPECT_TRUE(got && got->code == opcode::text && got->final);
    co_return got ? got->payload : std::string();
  }
  // Reads until the end; the code of the close frame, which is answered and after which nothing follows. 0
  // when there is none.
  Task<int> read_close() {
    for (;;) {
      const auto got = co_await read();
      if (!got) co_return 0;
      if (got->code != opcode::close) continue;
      co_await send(close_frame(got->close_code()));
      const auto more = co_await read();
      EXPECT_FALSE(more) << "a frame behind the close frame";
      co_return got->close_code();
    }
  }

 private:
  explicit SocketClient(std::unique_ptr<RawClient> raw) : raw_(std::move(raw)) {}

  std::unique_ptr<RawClient> raw_;
  std::string reply_;
  std::string unread_;
};

// Answers with a conversation on whatever is asked for; the end is told to `ended`.
struct SocketServer {
  static Handle talk(std::function<Task<void>(WebSocket&)> conversation, SocketOptions options = {},
                     std::function<void(const SocketEnd&)> ended = {}) {
    return [=](const RequestHead& head, BodyReader&, ResponseWriter& response) -> Task<void> {
      const auto offer = SocketOffer::parse(head);
      auto chosen = options;
      constexpr std::string_view served[] = {"realtime", "chat"};
      chosen.subprotocol = offer.choose(served);
      const auto end = co_await response.upgrade(offer, chosen, conversation);
      if (ended) ended(end);
    };
  }
  static Task<void> echo(WebSocket& socket) {
    while (auto message = co_await socket.receive())
      co_await socket.send(std::move(*message));
  }
};

}  // namespace hearth::net::testing
