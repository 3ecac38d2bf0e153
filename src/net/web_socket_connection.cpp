#include "net/web_socket_connection.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include "async/scope.hpp"

namespace hearth::net {
namespace {

namespace asio = boost::asio;

constexpr std::size_t most_pong_bytes = 16 * 1024;  // that may wait: a client that takes none is not read
constexpr std::size_t most_received = 64;           // messages that may wait, however small they are
constexpr std::size_t kept_capacity = 16 * 1024;    // of a buffer between its uses

std::string describe(const SocketEnd& end) {
  return "the socket has ended: " + std::to_string(end.code) + " " + end.reason;
}

}  // namespace

Task<void> WebSocketConnection::Signal::wait() {
  co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
}

WebSocketConnection::WebSocketConnection(Stream& stream, ReadBuffer& in, const SocketOptions& options,
                                         const ServerLimits& limits)
    : stream_(stream),
      in_(in),
      queue_bytes_(options.queue_bytes),
      limits_(limits),
      parser_(options.message_bytes),
      arrived_(stream.socket().get_executor()),
      room_(stream.socket().get_executor()),
      to_write_(stream.socket().get_executor()),
      drained_(stream.socket().get_executor()),
      ending_(stream.socket().get_executor()),
      finishing_(stream.socket().get_executor()),
      watch_timer_(stream.socket().get_executor()) {}

Task<SocketEnd> WebSocketConnection::run(SocketConversation conversation) {
  async::Scope pumps(stream_.socket().get_executor());
  pumps.spawn("socket reader", guard(read_frames()));
  pumps.spawn("socket writer", guard(write_frames()));
  pumps.spawn("socket watch", guard(watch()));
  std::exception_ptr thrown;
  bool knew = false;  // it ended because the socket had
  try {
    co_await conversation(*this);
  } catch (const ConnectionLost&) {
    thrown = std::current_exception();
    knew = end_.has_value();
  } catch (...) {
    thrown = std::current_exception();
  }
  const auto state = co_await asio::this_coro::cancellation_state;
  const bool cancelled = state.cancelled() != asio::cancellation_type::none;
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (!cancelled) {
    const bool failed = thrown && !knew;
    begin_close(failed ? close_code::internal_error : close_code::normal, {}, SocketEnd::By::server);
    while (!finished_)
      co_await finishing_.wait();
  }
  pumps.cancel();
  co_await pumps.join();
  co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
  if (!finished_) lose("the server cut it");
  if (thrown && !knew) std::rethrow_exception(thrown);
  if (cancelled) throw boost::system::system_error(asio::error::operation_aborted);
  co_return *end_;
}

// A pump that fails ends the socket, so that the conversation does not wait for it.
Task<void> WebSocketConnection::guard(Task<void> pump) {
  try {
    co_await std::move(pump);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    lose(error.what());
  } catch (const std::exception& error) {
    lose(error.what());
  }
}

Task<void> WebSocketConnection::read_frames() {
  while (co_await parse_input()) {
    reading_ = true;
    const auto io = co_await stream_.fill(in_, Arrival::later, TimePoint::max());
    reading_ = false;
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    if (io.error == asio::error::operation_aborted) {
      if (stream_.broken()) co_return;  // the writer knows why
      continue;
    }
    if (io.error) {
      lose(io.error.message());
      co_return;
    }
    heard_at_ = Clock::now();
    if (std::exchange(pinged_at_, std::nullopt)) watch_timer_.cancel();
    if (stream_.wants_yield()) co_await yield();
  }
}

Task<bool> WebSocketConnection::parse_input() {
  parser_.feed(in_.view());
  for (;;) {
    while (!has_room())
      co_await room_.wait();
    const auto event = parser_.next();
    if (event == WebSocketParser::Event::need_more) break;
    if (!take(event)) co_return false;
    // The conversation has a turn for each message: what it answers at once leaves before a close that
    // stands right behind.
    if (event == WebSocketParser::Event::message) co_await yield();
  }
  in_.consume(in_.size());
  note_progress();
  co_return true;
}

Task<void> WebSocketConnection::yield() {
  co_await asio::post(stream_.socket().get_executor(), asio::use_awaitable);
}

bool WebSocketConnection::has_room() const {
  if (end_) return true;  // what comes now is dropped
  return received_.size() < most_received && received_bytes_ < queue_bytes_ && pong_bytes_ < most_pong_bytes;
}

bool WebSocketConnection::take(WebSocketParser::Event event) {
  using Event = WebSocketParser::Event;
  switch (event) {
    case Event::message: {
      message_since_.reset();
      auto message = parser_.take_message();
      if (end_) return true;
      received_bytes_ += message.data.size();
      received_.push_back(std::move(message));
      arrived_.notify();
      return true;
    }
    case Event::ping: {
      if (end_) return true;
      const auto before = out_.size();
      append_pong_frame(out_, parser_.payload());
      pong_bytes_ += out_.size() - before;
      to_write_.notify();
      return true;
    }
    case Event::close:
      peer_done_ = true;
      set_end({SocketEnd::By::client, parser_.close_code(), parser_.close_reason()});
      say_goodbye(parser_.close_code(), {});
      return false;
    case Event::failed:
      fail(parser_.close_code(), parser_.close_reason());
      return false;
    case Event::pong:
    case Event::need_more:
      break;
  }
  return true;
}

void WebSocketConnection::note_progress() {
  if (!parser_.is_amid_message()) {
    message_since_.reset();
  } else if (!message_since_) {
    message_since_ = Clock::now();
    watch_timer_.cancel();
  }
}

Task<void> WebSocketConnection::write_frames() {
  for (;;) {
    while (out_.empty() && !goodbye_at_)
      co_await to_write_.wait();
    if (out_.empty()) break;
    batch_.swap(out_);
    pong_bytes_ = 0;
    Stream::Parts parts{asio::buffer(batch_)};
    ErrorCode error;
    if (!stream_.try_write(parts, error)) error = co_await stream_.finish_write(parts, limits_.write_time);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    if (error) {
      lose("the client takes nothing: " + error.message());
      co_return;
    }
    batch_.clear();
    if (batch_.capacity() > kept_capacity) batch_ = std::string();
    drained_.notify();
    room_.notify();
    if (stream_.wants_yield()) co_await yield();
  }
  goodbye_written_ = true;
  if (peer_done_) finish();
}

Task<void> WebSocketConnection::watch() {
  while (!finished_) {
    const auto next = look(Clock::now());
    if (finished_) co_return;
    watch_timer_.expires_at(next);
    co_await watch_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

TimePoint WebSocketConnection::look(TimePoint now) {
  if (goodbye_at_) {
    const auto due = *goodbye_at_ + limits_.socket_close_time;
    if (now >= due) lose("the client did not close in time");
    return due;
  }
  if (!reading_) heard_at_ = now;
  auto next = TimePoint::max();
  if (message_since_) {
    const auto seconds = std::chrono::duration<double>(now - *message_since_).count();
    const bool is_slow = now - *message_since_ > limits_.body_time &&
                         static_cast<double>(parser_.message_bytes()) <
                             seconds * static_cast<double>(limits_.body_bytes_per_second);
    if (is_slow || now - heard_at_ >= limits_.body_time) {
      fail(close_code::policy_violation, "A message arrives too slowly.");
      return now;
    }
    next = now + limits_.body_time;
  }
  if (limits_.socket_ping_interval <= limits_.socket_ping_interval.zero()) return next;
  if (!pinged_at_ && now >= heard_at_ + limits_.socket_ping_interval) {
    append_ping_frame(out_, {});
    to_write_.notify();
    pinged_at_ = now;
  }
  const auto due =
      pinged_at_ ? *pinged_at_ + limits_.socket_pong_time : heard_at_ + limits_.socket_ping_interval;
  if (pinged_at_ && now >= due) lose("the client does not answer a ping");
  return std::min(next, due);
}

void WebSocketConnection::set_end(SocketEnd end) {
  if (end_) return;
  end_ = std::move(end);
  arrived_.notify();
  room_.notify();
  drained_.notify();
  ending_.notify();
}

void WebSocketConnection::say_goodbye(std::uint16_t code, std::string_view reason) {
  if (!goodbye_at_) {
    append_close_frame(out_, code, reason);
    goodbye_at_ = Clock::now();
    to_write_.notify();
    watch_timer_.cancel();
  }
  if (goodbye_written_ && peer_done_) finish();
}

void WebSocketConnection::begin_close(std::uint16_t code, std::string_view reason, SocketEnd::By by) {
  if (end_) return;
  set_end({by, code, std::string(reason)});
  say_goodbye(code, reason);
}

void WebSocketConnection::fail(std::uint16_t code, std::string_view reason) {
  peer_done_ = true;
  set_end({SocketEnd::By::failure, code, std::string(reason)});
  say_goodbye(code, reason);
}

void WebSocketConnection::lose(std::string cause) {
  set_end({SocketEnd::By::failure, close_code::lost, std::move(cause)});
  lost_ = true;
  finish();
}

void WebSocketConnection::finish() {
  finished_ = true;
  finishing_.notify();
  watch_timer_.cancel();
}

void WebSocketConnection::go_away() {
  begin_close(close_code::going_away, "The server stops.", SocketEnd::By::server);
}

Task<std::optional<SocketMessage>> WebSocketConnection::receive() {
  while (received_.empty() && !end_)
    co_await arrived_.wait();
  if (received_.empty()) co_return std::nullopt;
  std::optional<SocketMessage> message(std::move(received_.front()));
  received_.pop_front();
  received_bytes_ -= message->data.size();
  room_.notify();
  co_return message;
}

Task<void> WebSocketConnection::send(SocketMessage message) {
  while (!end_ && out_.size() + batch_.size() >= queue_bytes_)
    co_await drained_.wait();
  if (end_) throw ConnectionLost(describe(*end_));
  append_message_frame(out_, message);
  to_write_.notify();
}

Task<void> WebSocketConnection::close(std::uint16_t code, std::string reason) {
  if (!is_sendable_close_code(code)) throw std::logic_error("the close code must not be sent");
  begin_close(code, reason, SocketEnd::By::server);
  while (!finished_)
    co_await finishing_.wait();
}

Task<void> WebSocketConnection::ended() {
  while (!end_)
    co_await ending_.wait();
}

}  // namespace hearth::net
