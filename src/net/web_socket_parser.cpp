#include "net/web_socket_parser.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>
#include <wslay/wslay.h>

#include "base/text.hpp"

namespace hearth::net {
namespace {

constexpr std::size_t most_control_bytes = 125;

const std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

// wslay asks for bytes where none are left: it reports WANT_READ then.
constexpr ssize_t no_bytes = -1;

ssize_t append_sent(const std::uint8_t* data, std::size_t size, int, void* out) {
  static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(data), size);
  return static_cast<ssize_t>(size);
}

void append_frame(std::string& out, wslay_opcode opcode, std::string_view payload) {
  const wslay_frame_callbacks callbacks{
      .send_callback = append_sent, .recv_callback = nullptr, .genmask_callback = nullptr};
  wslay_frame_context_ptr made = nullptr;
  if (wslay_frame_context_init(&made, &callbacks, &out) != 0) throw std::bad_alloc();
  const std::unique_ptr<wslay_frame_context, decltype(&wslay_frame_context_free)> context(
      made, &wslay_frame_context_free);
  wslay_frame_iocb frame{.fin = 1,
                         .rsv = WSLAY_RSV_NONE,
                         .opcode = static_cast<std::uint8_t>(opcode),
                         .payload_length = payload.size(),
                         .mask = 0,
                         .data = bytes_of(payload),
                         .data_length = payload.size()};
  if (wslay_frame_send(context.get(), &frame) != static_cast<ssize_t>(payload.size()))
    throw std::logic_error("wslay refused a frame");
}

}  // namespace

bool is_sendable_close_code(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1011) || (code >= 3000 && code <= 4999);
}

struct WebSocketParser::Frames {
  Frames() {
    const wslay_frame_callbacks callbacks{
        .send_callback = nullptr, .recv_callback = take, .genmask_callback = nullptr};
    if (wslay_frame_context_init(&context, &callbacks, this) != 0) throw std::bad_alloc();
  }
  ~Frames() { wslay_frame_context_free(context); }
  Frames(const Frames&) = delete;

  static ssize_t take(std::uint8_t* out, std::size_t room, int, void* self) {
    auto& input = static_cast<Frames*>(self)->input;
    const auto size = std::min(room, input.size());
    if (size == 0) return no_bytes;
    std::memcpy(out, input.data(), size);
    input.remove_prefix(size);
    return static_cast<ssize_t>(size);
  }

  wslay_frame_context_ptr context = nullptr;
  std::string_view input;
};

struct WebSocketParser::Head : wslay_frame_iocb {};

WebSocketParser::WebSocketParser(std::size_t most_message_bytes)
    : frames_(std::make_unique<Frames>()), most_message_bytes_(most_message_bytes) {}

WebSocketParser::~WebSocketParser() = default;

void WebSocketParser::feed(std::string_view bytes) {
  frames_->input = bytes;
}

WebSocketParser::Event WebSocketParser::next() {
  while (!over_) {
    Head head{};
    const auto got = wslay_frame_recv(frames_->context, &head);
    if (got == WSLAY_ERR_WANT_READ) return Event::need_more;
    if (got < 0) return fail(close_code::protocol_error, "The header of a frame is not valid.");
    if (!in_frame_) {
      if (const auto event = begin_frame(head); event != Event::need_more) return event;
    }
    frame_left_ -= head.data_length;
    const std::string_view piece(reinterpret_cast<const char*>(head.data), head.data_length);
    if (const auto event = take_payload(piece); event != Event::need_more) return event;
    if (frame_left_ > 0) continue;
    in_frame_ = false;
    if (const auto event = end_frame(); event != Event::need_more) return event;
  }
  return Event::need_more;
}

WebSocketParser::Event WebSocketParser::begin_frame(const Head& head) {
  constexpr auto wrong = close_code::protocol_error;
  if (head.rsv != 0) return fail(wrong, "A reserved bit is set, and no extension was agreed on.");
  if (!head.mask) return fail(wrong, "The frames of a client must be masked.");
  in_frame_ = true;
  final_ = head.fin != 0;
  opcode_ = head.opcode;
  frame_left_ = head.payload_length;
  switch (opcode_) {
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
      if (in_message_) return fail(wrong, "A message began before the last one had ended.");
      in_message_ = true;
      message_ = {opcode_ == WSLAY_TEXT_FRAME ? SocketMessage::Kind::text : SocketMessage::Kind::binary, {}};
      utf8_ = {};
      break;
    case WSLAY_CONTINUATION_FRAME:
      if (!in_message_) return fail(wrong, "There is no message to continue.");
      break;
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
      control_.clear();
      return Event::need_more;
    default:
      return fail(wrong, "The opcode of a frame is reserved.");
  }
  if (frame_left_ > most_message_bytes_ - message_.data.size()) {
    return fail(close_code::too_big,
                "A message may have " + std::to_string(most_message_bytes_) + " bytes at the most.");
  }
  return Event::need_more;
}

WebSocketParser::Event WebSocketParser::take_payload(std::string_view bytes) {
  if (is_control()) {
    control_ += bytes;
    return Event::need_more;
  }
  if (message_.kind == SocketMessage::Kind::text && !utf8_.add(bytes))
    return fail(close_code::invalid_data, "A text message is not valid UTF-8.");
  message_.data += bytes;
  return Event::need_more;
}

WebSocketParser::Event WebSocketParser::end_frame() {
  if (opcode_ == WSLAY_PING) return Event::ping;
  if (opcode_ == WSLAY_PONG) return Event::pong;
  if (opcode_ == WSLAY_CONNECTION_CLOSE) return take_close();
  if (!final_) return Event::need_more;
  if (message_.kind == SocketMessage::Kind::text && !utf8_.complete())
    return fail(close_code::invalid_data, "A text message ends within a code point.");
  in_message_ = false;
  return Event::message;
}

WebSocketParser::Event WebSocketParser::take_close() {
  if (control_.size() == 1) return fail(close_code::protocol_error, "A close code has two bytes.");
  close_code_ = close_code::none_given;
  if (!control_.empty()) {
    const auto high = static_cast<unsigned char>(control_[0]);
    const auto low = static_cast<unsigned char>(control_[1]);
    close_code_ = static_cast<std::uint16_t>(high << 8 | low);
    if (!is_sendable_close_code(close_code_))
      return fail(close_code::protocol_error, "The close code must not be sent.");
    close_reason_ = control_.substr(2);
    if (!text::is_valid_utf8(close_reason_))
      return fail(close_code::invalid_data, "The reason for closing is not valid UTF-8.");
  }
  over_ = true;
  return Event::close;
}

WebSocketParser::Event WebSocketParser::fail(std::uint16_t code, std::string reason) {
  over_ = true;
  in_message_ = false;
  message_.data = {};
  close_code_ = code;
  close_reason_ = std::move(reason);
  return Event::failed;
}

SocketMessage WebSocketParser::take_message() {
  return std::exchange(message_, {});
}

void append_message_frame(std::string& out, const SocketMessage& message) {
  append_frame(out, message.kind == SocketMessage::Kind::text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME,
               message.data);
}

void append_ping_frame(std::string& out, std::string_view payload) {
  append_frame(out, WSLAY_PING, payload);
}

void append_pong_frame(std::string& out, std::string_view payload) {
  append_frame(out, WSLAY_PONG, payload);
}

void append_close_frame(std::string& out, std::uint16_t code, std::string_view reason) {
  if (code == close_code::none_given) return append_frame(out, WSLAY_CONNECTION_CLOSE, {});
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
  payload += text::truncate_utf8(reason, most_control_bytes - payload.size());
  append_frame(out, WSLAY_CONNECTION_CLOSE, payload);
}

}  // namespace hearth::net
