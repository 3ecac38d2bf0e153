// WebSockets (RFC 6455) in plain types: what the layers above net/ see. No wslay and no Asio type here.
//
// A handler reads the request as a SocketOffer, refuses with an ordinary reply, or calls
// ResponseWriter::upgrade() with a conversation: a coroutine that holds the WebSocket for as long as it
// lives. No extension is negotiated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.hpp"
#include "net/http.hpp"

namespace hearth::net {

namespace close_code {
inline constexpr std::uint16_t normal = 1000;
inline constexpr std::uint16_t going_away = 1001;
inline constexpr std::uint16_t protocol_error = 1002;
inline constexpr std::uint16_t unsupported_data = 1003;
inline constexpr std::uint16_t none_given = 1005;  // never sent: the peer's close frame had no code
inline constexpr std::uint16_t lost = 1006;        // never sent: the connection failed without a close frame
inline constexpr std::uint16_t invalid_data = 1007;
inline constexpr std::uint16_t policy_violation = 1008;
inline constexpr std::uint16_t too_big = 1009;
inline constexpr std::uint16_t internal_error = 1011;
}  // namespace close_code

// Whether a close frame may hold the code.
bool is_sendable_close_code(std::uint16_t code);

struct SocketMessage {
  enum class Kind : std::uint8_t { text, binary };
  Kind kind = Kind::text;
  std::string data;  // text is valid UTF-8
};

// How a socket ended.
struct SocketEnd {
  enum class By : std::uint8_t { client, server, failure };
  By by = By::failure;
  std::uint16_t code = close_code::lost;  // of the first close frame, the client's or ours
  std::string reason;                     // that frame's; of a failure the cause, for the log
};

// A request for a WebSocket, checked as RFC 6455 says in section 4.2.1.
struct SocketOffer {
  std::string accept;                     // proves to the client that its key was read
  std::vector<std::string> subprotocols;  // in the client's order; may hold credentials: never logged

  // ApiError 426 where the request asks for no WebSocket of version 13 (the reply then names both), 400 where
  // it asks for one wrongly.
  static SocketOffer parse(const RequestHead& head);
  // The first of `served` that the client offers; empty when there is none.
  std::string_view choose(std::span<const std::string_view> served) const;
};

struct SocketOptions {
  std::string subprotocol;                  // the chosen one; empty: none
  Headers headers;                          // of the 101 reply, beside those of the handshake
  std::size_t message_bytes = 1024 * 1024;  // the longest message taken; a longer one closes with 1009
  std::size_t queue_bytes = 64 * 1024;      // in each direction; one message more than that may be held
};

// An open socket. Its loop reads and writes beside the conversation: pings are answered, silent peers are
// pinged and closed when they stay silent, whether or not the conversation waits for anything. Thread: the
// session's; several coroutines of it may use the socket at the same time. Every wait may be cancelled
// without loss: a message is sent or received as a whole or not at all.
class WebSocket {
 public:
  virtual ~WebSocket() = default;
  // The next message. nullopt once the socket has ended and everything that came before is taken. A
  // conversation that does not receive slows the client down.
  virtual Task<std::optional<SocketMessage>> receive() = 0;
  // Waits while more than `queue_bytes` wait for a slow client, then queues the message. Throws
  // ConnectionLost when the socket has ended.
  virtual Task<void> send(SocketMessage message) = 0;
  // Sends what is queued, then a close frame, and waits for the client's answer for a limited time. Nothing
  // can be sent afterwards. `code` is a sendable one; `reason` is cut to the 123 bytes that fit. Does
  // nothing when the socket has ended already.
  virtual Task<void> close(std::uint16_t code, std::string reason) = 0;
  // Until the client has left or the server stops, for work that only this client wants.
  virtual Task<void> ended() = 0;
  // How it ended; nullptr while it is open.
  virtual const SocketEnd* end() const = 0;
};

}  // namespace hearth::net
