// The receiving side of one server's WebSocket, sans-io: bytes in, messages and control frames out. Frames
// are read by wslay, whose headers stay in the .cpp file; what frames mean is judged here.
//
// Failures are found as early as they can be: a text that is no UTF-8 at its first wrong byte, a message that
// is too long at the frame that announces it. Used by the connection and by the fuzzer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/utf8.hpp"
#include "net/web_socket.hpp"

namespace hearth::net {

class WebSocketParser {
 public:
  enum class Event : std::uint8_t { need_more, message, ping, pong, close, failed };

  explicit WebSocketParser(std::size_t most_message_bytes);
  ~WebSocketParser();
  WebSocketParser(const WebSocketParser&) = delete;

  // `bytes` must live until next() has returned need_more, and only then may more be fed.
  void feed(std::string_view bytes);
  // What comes next in what was fed. After close or failed all that follows is ignored.
  Event next();

  // After message, once.
  SocketMessage take_message();
  // After ping or pong, until the next call of next().
  std::string_view payload() const { return control_; }
  // After close: the peer's code, or none_given, and its reason. After failed: the code to close with and
  // why.
  std::uint16_t close_code() const { return close_code_; }
  const std::string& close_reason() const { return close_reason_; }

  // A message has begun and is not complete; so many bytes of it are here.
  bool is_amid_message() const { return in_message_; }
  std::size_t message_bytes() const { return message_.data.size(); }

 private:
  struct Frames;
  struct Head;

  Event begin_frame(const Head& head);
  Event take_payload(std::string_view bytes);
  Event end_frame();
  Event take_close();
  Event fail(std::uint16_t code, std::string reason);
  bool is_control() const { return (opcode_ & 8) != 0; }

  std::unique_ptr<Frames> frames_;
  const std::size_t most_message_bytes_;
  bool over_ = false;
  // The frame that is being read.
  bool in_frame_ = false;
  bool final_ = false;
  std::uint8_t opcode_ = 0;
  std::uint64_t frame_left_ = 0;
  std::string control_;
  // The message that is being put together; control frames may come between its frames.
  bool in_message_ = false;
  SocketMessage message_;
  text::Utf8Checker utf8_;
  std::uint16_t close_code_ = 0;
  std::string close_reason_;
};

// The sending side: a whole message or a control frame in one unmasked frame, appended to `out`.
void append_message_frame(std::string& out, const SocketMessage& message);
void append_ping_frame(std::string& out, std::string_view payload);
void append_pong_frame(std::string& out, std::string_view payload);
// none_given is a frame without a code.
void append_close_frame(std::string& out, std::uint16_t code, std::string_view reason);

}  // namespace hearth::net
