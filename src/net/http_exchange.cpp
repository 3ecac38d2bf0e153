#include "net/http_exchange.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include "async/deadline.hpp"
#include "base/api_error.hpp"
#include "base/text.hpp"
#include "net/http_render.hpp"
#include "net/web_socket_connection.hpp"

namespace hearth::net {
namespace {

using boost::asio::buffer;
using boost::asio::const_buffer;
using std::chrono::steady_clock;

constexpr std::size_t small_body = 64 * 1024;        // what is worth draining to keep a connection
constexpr std::size_t largest_pipeline = 64 * 1024;  // bytes of following requests kept during one
constexpr auto hang_up_poll = std::chrono::milliseconds(100);
constexpr auto drain_time = std::chrono::milliseconds(500);
constexpr std::string_view invalid_request_type = "invalid_request_error";
constexpr std::string_view line_end = "\r\n";

// What a client that did not ask for it can switch to.
void append_upgrade_offer(std::string& text) {
  append_header(text, "upgrade", "websocket");
  append_header(text, "sec-websocket-version", "13");
}

}  // namespace

HttpExchange::HttpExchange(HttpSession& session) : session_(session), parser_(*session.parser_) {
  const auto& head = parser_.request();
  head_only_ = head.method == "HEAD";
  expects_continue_ = !parser_.done() && !parser_.is_http_1_0() &&
                      text::equals_ignore_case(head.headers.get("expect"), "100-continue");
  close_ = !parser_.keep_alive();
}

void HttpExchange::fail_body(int status, std::string_view code, std::string message) {
  close_ = true;
  throw ApiError(status, invalid_request_type, std::string(code), std::move(message));
}

Task<void> HttpExchange::send_continue() {
  expects_continue_ = false;
  if (begun_ || !session_.in_.empty()) co_return;
  co_await session_.write({buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"))});
}

// With an announced length and nothing buffered the bytes go straight to `out`; parse_body() then only
// counts.
Task<std::size_t> HttpExchange::next_body_bytes(std::span<char> out) {
  const auto& limits = session_.context_.limits;
  for (;;) {
    if (!session_.in_.empty()) {
      const auto step = parser_.parse_body(session_.in_.view(), out);
      if (!step) fail_body(step.error().status, "invalid_body", step.error().message);
      session_.in_.consume(step->consumed);
      if (step->produced > 0 || parser_.done()) co_return step->produced;
      if (step->consumed > 0) continue;
    }
    const auto before = steady_clock::now();
    const auto deadline = std::min(before + limits.body_time, body_deadline_);
    const auto left = parser_.remaining();
    const bool direct = left && session_.in_.empty();
    IoResult io;
    if (direct) {
      const auto size = std::min<std::uint64_t>(out.size(), *left);
      io = co_await session_.stream_.read(out.first(size), deadline);
    } else {
      io = co_await session_.stream_.fill(session_.in_, Arrival::likely, deadline);
    }
    body_waited_ += steady_clock::now() - before;
    body_bytes_ += io.bytes;
    if (io.error == boost::asio::error::timed_out) {
      ++session_.context_.counters.timed_out;
      fail_body(408, "request_timeout", "The request body did not arrive in time.");
    }
    if (io.error == boost::asio::error::operation_aborted && !session_.was_cut_) {
      throw boost::system::system_error(io.error);  // the reader was cancelled; the body can still be read
    }
    if (io.error) {
      session_.peer_gone_ = true;
      throw ConnectionLost("the client left before the end of its request");
    }
    const auto seconds = std::chrono::duration<double>(body_waited_).count();
    if (body_waited_ > limits.body_time &&
        static_cast<double>(body_bytes_) < seconds * static_cast<double>(limits.body_bytes_per_second)) {
      ++session_.context_.counters.timed_out;
      fail_body(408, "request_timeout", "The request body arrives too slowly.");
    }
    if (direct) {
      const auto step = parser_.parse_body(std::string_view(out.data(), io.bytes), out);
      if (!step) fail_body(step.error().status, "invalid_body", step.error().message);
      co_return step->produced;
    }
  }
}

Task<std::size_t> HttpExchange::read_some(std::span<char> out) {
  if (parser_.done() || out.empty()) co_return 0;
  if (expects_continue_) co_await send_continue();
  if (session_.stream_.wants_yield()) {
    co_await boost::asio::post(session_.stream_.socket().get_executor(), boost::asio::use_awaitable);
  }
  co_return co_await next_body_bytes(out);
}

Task<std::string> HttpExchange::read_all(std::size_t limit) {
  const auto announced = parser_.remaining();
  if (announced && *announced > limit) throw ApiError::payload_too_large(limit);
  std::string body;
  // Memory follows what really comes, not what is announced.
  std::size_t used = 0;
  std::size_t room = announced ? std::min<std::uint64_t>(*announced, small_body) : 4 * 1024;
  while (!parser_.done()) {
    body.resize_and_overwrite(used + room, [](char*, std::size_t size) { return size; });
    used += co_await read_some(std::span(body).subspan(used));
    if (used > limit) throw ApiError::payload_too_large(limit);
    if (used == body.size()) {
      room = std::max<std::size_t>(used, 4 * 1024);
      if (announced)
        room = std::min<std::uint64_t>(room, *announced - std::min<std::uint64_t>(used, *announced));
      room = std::min(room, limit + 1 - used);
    } else {
      room = body.size() - used;
    }
  }
  body.resize(used);
  co_return body;
}

bool HttpExchange::rest_is_small() const {
  if (parser_.done()) return true;
  if (expects_continue_) return false;  // whether the client will send it is not known
  const auto left = parser_.remaining();
  return left && *left <= small_body;
}

bool HttpExchange::has_no_body(int status) const {
  return status == 204 || status == 304 || status / 100 == 1;
}

std::string HttpExchange::start(const ResponseHead& head, Framing framing, std::uint64_t length) {
  if (begun_) throw std::logic_error("the reply has begun already");
  begun_ = true;
  chunked_ = framing == Framing::chunked;
  sized_ = framing == Framing::sized;
  // A proxy that took the upgrade for granted would send frames now: they must not be read as requests.
  if (framing == Framing::until_close || session_.draining_ || !rest_is_small() || asks_for_socket() ||
      has_token(head.headers.get("connection"), "close")) {
    close_ = true;
  }
  std::string text;
  text.reserve(512);
  append_status_line(text, head.status);
  append_headers(text, head.headers);
  if (head.status == 426) append_upgrade_offer(text);
  if (!has_no_body(head.status)) {
    if (sized_) append_header(text, "content-length", length);
    if (chunked_) append_header(text, "transfer-encoding", "chunked");
  }
  if (close_) {
    append_header(text, "connection", "close");
  } else if (parser_.is_http_1_0()) {
    append_header(text, "connection", "keep-alive");
  }
  text += line_end;
  return text;
}

bool HttpExchange::asks_for_socket() const {
  return std::ranges::any_of(parser_.request().headers.entries(), [](const Headers::Entry& entry) {
    return text::equals_ignore_case(entry.first.view(), "upgrade") && has_token(entry.second, "websocket");
  });
}

Task<SocketEnd> HttpExchange::upgrade(const SocketOffer& offer, const SocketOptions& options,
                                      SocketConversation conversation) {
  if (begun_) throw std::logic_error("the reply has begun already");
  begun_ = ended_ = upgraded_ = close_ = true;
  std::string text;
  append_status_line(text, 101);
  append_header(text, "upgrade", "websocket");
  append_header(text, "connection", "Upgrade");
  append_header(text, "sec-websocket-accept", offer.accept);
  if (!options.subprotocol.empty()) append_header(text, "sec-websocket-protocol", options.subprotocol);
  append_headers(text, options.headers);
  text += line_end;
  co_await session_.write({buffer(text)});

  WebSocketConnection socket(session_.stream_, session_.in_, options, session_.context_.limits);
  struct Registration {
    ~Registration() {
      session.socket_ = nullptr;
      session.peer_gone_ = session.peer_gone_ || socket.is_lost();
    }
    HttpSession& session;
    WebSocketConnection& socket;
  } registration{session_, socket};
  session_.socket_ = &socket;
  if (session_.draining_) socket.go_away();
  co_return co_await socket.run(std::move(conversation));
}

Task<void> HttpExchange::send(ResponseHead head, std::string body) {
  const auto text = start(head, Framing::sized, body.size());
  const bool silent = head_only_ || has_no_body(head.status);
  co_await session_.write({buffer(text), silent ? const_buffer() : buffer(body)});
  ended_ = true;
}

Task<void> HttpExchange::begin(ResponseHead head) {
  unsent_head_ = start(head, parser_.is_http_1_0() ? Framing::until_close : Framing::chunked, 0);
  head_only_ = head_only_ || has_no_body(head.status);
  writable_ = true;
  co_return;
}

Task<void> HttpExchange::begin(ResponseHead head, std::uint64_t length) {
  unsent_head_ = start(head, Framing::sized, length);
  head_only_ = head_only_ || has_no_body(head.status);
  left_ = length;
  writable_ = true;
  co_return;
}

void HttpExchange::count(std::string_view bytes) {
  if (!writable_) throw std::logic_error("a reply's body outside of begin() and end()");
  if (!sized_ || head_only_) return;
  if (bytes.size() > left_) throw std::logic_error("a reply's body is longer than it said");
  left_ -= bytes.size();
}

Task<void> HttpExchange::write(std::string_view bytes) {
  count(bytes);
  if (bytes.empty() || head_only_) co_return;
  co_await write_piece(bytes, Piece::inner);
}

Task<void> HttpExchange::write_piece(std::string_view bytes, Piece piece) {
  if (session_.stream_.wants_yield()) {
    co_await boost::asio::post(session_.stream_.socket().get_executor(), boost::asio::use_awaitable);
  }
  const std::string head = std::exchange(unsent_head_, {});
  if (!chunked_) {
    co_await session_.write({buffer(head), buffer(bytes)});
    co_return;
  }
  std::array<char, 20> line;
  char* end = line.data();
  if (!bytes.empty()) {
    end = std::to_chars(line.data(), line.data() + line.size(), bytes.size(), 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
  }
  constexpr std::string_view last_chunk = "0\r\n\r\n";
  co_await session_.write({buffer(head), buffer(line.data(), static_cast<std::size_t>(end - line.data())),
                           buffer(bytes), bytes.empty() ? const_buffer() : buffer(line_end),
                           piece == Piece::last ? buffer(last_chunk) : const_buffer()});
}

Task<void> HttpExchange::end(std::string_view last) {
  count(last);
  if (left_ > 0 && !head_only_) throw std::logic_error("a reply's body is shorter than it said");
  writable_ = false;
  if (head_only_) {
    const std::string head = std::exchange(unsent_head_, {});
    if (!head.empty()) co_await session_.write({buffer(head)});
  } else {
    co_await write_piece(last, Piece::last);
  }
  ended_ = true;
}

Task<void> HttpExchange::closed() {
  while (!session_.peer_gone_) {
    if (session_.stream_.broken()) break;
    // Until the body is read the socket belongs to its reader, and a full buffer takes no more: then the
    // socket is asked instead of read.
    if (!parser_.done() || session_.in_.size() >= largest_pipeline) {
      session_.peer_gone_ = session_.stream_.peer_hung_up();
      if (!session_.peer_gone_) co_await async::sleep_for(hang_up_poll);
      continue;
    }
    const auto io = co_await session_.stream_.fill(session_.in_, Arrival::later, TimePoint::max());
    // Every request ends here by cancelling this coroutine: an exception for each would be expensive.
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) co_return;
    // Aborted otherwise: by a failed write or a cut.
    if (io.error == boost::asio::error::operation_aborted && !session_.was_cut_) continue;
    if (io.error) session_.peer_gone_ = true;
  }
}

Task<bool> HttpExchange::drain_body() {
  std::array<char, 2048> sink;
  std::uint64_t drained = 0;
  body_deadline_ = steady_clock::now() + drain_time;
  while (!parser_.done()) {
    if (drained > small_body || steady_clock::now() > body_deadline_) co_return false;
    drained += co_await next_body_bytes(sink);
  }
  co_return true;
}

}  // namespace hearth::net
