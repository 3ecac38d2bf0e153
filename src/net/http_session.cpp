#include "net/http_session.hpp"

#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <exception>
#include <netinet/in.h>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include "base/api_error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "net/http_exchange.hpp"
#include "net/http_render.hpp"
#include "net/web_socket_connection.hpp"

namespace hearth::net {
namespace {

using boost::asio::buffer;
using std::chrono::steady_clock;

constexpr auto linger_time = std::chrono::milliseconds(500);
constexpr std::size_t linger_bytes = 256 * 1024;

std::string remote_address_of(Socket& socket) {
  ErrorCode error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return "unknown";
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (endpoint.data()->sa_family == AF_INET) {
    const auto* address = reinterpret_cast<const sockaddr_in*>(endpoint.data());
    ::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
  } else if (endpoint.data()->sa_family == AF_INET6) {
    const auto* address = reinterpret_cast<const sockaddr_in6*>(endpoint.data());
    ::inet_ntop(AF_INET6, &address->sin6_addr, text.data(), text.size());
  } else {
    return "unix";
  }
  return text.data();
}

ResponseHead error_head(const ApiError& error) {
  ResponseHead head;
  head.status = error.status();
  head.headers.add("content-type", "application/json");
  head.headers.add("connection", "close");
  return head;
}

}  // namespace

HttpSession::HttpSession(SessionContext& context, Socket socket, boost::asio::ssl::context* tls)
    : context_(context), stream_(std::move(socket)), tls_(tls) {}

void HttpSession::drain() {
  draining_ = true;
  if (socket_) socket_->go_away();
  if (idle_) stream_.cancel();
}

void HttpSession::cut() {
  was_cut_ = true;
  ErrorCode ignored;
  stream_.socket().shutdown(Socket::shutdown_both, ignored);
  stream_.cancel();
}

Task<void> HttpSession::write(Stream::Parts parts) {
  ErrorCode error;
  if (!stream_.try_write(parts, error)) {
    error = co_await stream_.finish_write(parts, context_.limits.write_time);
  }
  if (!error) co_return;
  peer_gone_ = true;
  if (error == boost::asio::error::operation_aborted && !was_cut_) throw boost::system::system_error(error);
  if (error == boost::asio::error::timed_out) ++context_.counters.timed_out;
  throw ConnectionLost("the client takes no reply: " + error.message());
}

Task<void> HttpSession::run() {
  Next next = Next::keep;
  try {
    stream_.prepare();
    remote_address_ = remote_address_of(stream_.socket());
    if (tls_ && !draining_ && !co_await shake_hands()) co_return;
    while (next == Next::keep)
      next = co_await serve_one();
    if (next == Next::linger) co_await linger();
    if (!peer_gone_) co_await stream_.end_tls(steady_clock::now() + linger_time);
  } catch (const ConnectionLost& lost) {
    log::debug("connection lost", {{"remote", remote_address_}, {"cause", lost.what()}});
  } catch (const boost::system::system_error& error) {
    if (error.code() != boost::asio::error::operation_aborted) {
      log::error("session failed", {{"remote", remote_address_}, {"cause", error.what()}});
    }
  } catch (const std::exception& error) {
    log::error("session failed", {{"remote", remote_address_}, {"cause", error.what()}});
  }
}

Task<bool> HttpSession::shake_hands() {
  std::shared_ptr<const ClientTrust> trust;
  if (context_.client_trust) trust = co_await context_.client_trust->current();
  const auto error =
      co_await stream_.accept_tls(*tls_, trust.get(), steady_clock::now() + context_.limits.header_time);
  if (error == boost::asio::error::timed_out) ++context_.counters.timed_out;
  if (error && trust && trust->demand() != ClientDemand::none)
    log::info("handshake failed", {{"remote", remote_address_}, {"cause", error.message()}});
  if (error) co_return false;
  client_certificate_ = stream_.client_certificate();
  co_return true;
}

Task<HttpSession::Next> HttpSession::serve_one() {
  Next next = Next::close;
  if (!co_await read_head(next)) co_return next;
  auto& head = parser_->request();
  head.remote_address = remote_address_;
  head.secure = tls_ != nullptr;
  head.is_http_1_0 = parser_->is_http_1_0();
  head.client_certificate = client_certificate_.get();
  if (const auto expect = head.headers.get("expect");
      !expect.empty() && !text::equals_ignore_case(expect, "100-continue")) {
    co_await refuse({417, "The only expectation served is '100-continue'."}, "expectation_failed");
    co_return Next::linger;
  }
  HttpExchange exchange(*this);
  co_await run_handler(exchange);
  next = co_await finish(exchange);
  parser_.reset();
  co_return next;
}

Task<bool> HttpSession::read_head(Next& next) {
  const auto& limits = context_.limits;
  idle_ = in_.empty();
  if (idle_ && draining_) co_return false;
  auto deadline = steady_clock::now() + (idle_ ? limits.idle_time : limits.header_time);
  auto arrival = std::exchange(next_arrival_, Arrival::later);
  for (;;) {
    // Old clients send an empty line before a request.
    while (!parser_ && in_.view().starts_with("\r\n"))
      in_.consume(2);
    if (!in_.empty() && in_.view() != "\r") {
      if (!parser_) parser_.emplace(MessageKind::request, limits.header_bytes);
      const auto consumed = parser_->parse_head(in_.view());
      if (!consumed) {
        co_await refuse(consumed.error(),
                        consumed.error().status == 431 ? "header_too_large" : "invalid_http_message");
        next = Next::linger;
        co_return false;
      }
      in_.consume(*consumed);
      if (parser_->head_done()) co_return true;
    }
    const auto io = co_await stream_.fill(in_, arrival, deadline);
    arrival = Arrival::later;
    if (io.error == boost::asio::error::timed_out) {
      ++context_.counters.timed_out;
      if (!parser_) co_return false;
      co_await refuse({408, "The request's header did not arrive in time."}, "request_timeout");
      next = Next::linger;
      co_return false;
    }
    if (io.error) {
      peer_gone_ = io.error != boost::asio::error::operation_aborted;
      co_return false;
    }
    if (idle_) deadline = steady_clock::now() + limits.header_time;
    idle_ = false;
  }
}

Task<void> HttpSession::run_handler(HttpExchange& exchange) {
  std::optional<ApiError> refused;
  try {
    co_await context_.handler.handle(parser_->request(), exchange, exchange);
  } catch (const ConnectionLost&) {
    throw;
  } catch (const ApiError& error) {
    refused = error;
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::asio::error::operation_aborted) throw;
    log::error("handler failed", {{"cause", error.what()}});
    refused = ApiError::internal();
  } catch (const std::exception& error) {
    log::error("handler failed", {{"cause", error.what()}});
    refused = ApiError::internal();
  }
  if (!refused && !exchange.begun() && !peer_gone_) {
    log::error("handler gave no reply", {{"target", parser_->request().path()}});
    refused = ApiError::internal();
  }
  if (refused && !exchange.begun()) {
    co_await exchange.send(error_head(*refused), render_error_body(*refused));
  }
}

Task<HttpSession::Next> HttpSession::finish(HttpExchange& exchange) {
  if (!exchange.ended()) {
    // Without this a client of HTTP/1.0 would take the cut for the body's end.
    if (exchange.until_close()) stream_.reset();
    peer_gone_ = true;
    co_return Next::close;
  }
  if (peer_gone_) co_return Next::close;
  if (exchange.was_upgraded()) co_return Next::linger;
  if (exchange.must_close()) {
    co_return exchange.body_done() && in_.empty() ? Next::close : Next::linger;
  }
  if (!exchange.body_done()) {
    bool drained = false;
    try {
      drained = co_await exchange.drain_body();
    } catch (const ApiError&) {  // a body that is too slow or broken, after its reply
    }
    if (!drained) co_return Next::linger;
  }
  co_return Next::keep;
}

Task<void> HttpSession::refuse(const ParseFailure& failure, std::string_view code) {
  const ApiError error(failure.status, "invalid_request_error", std::string(code), failure.message);
  const auto body = render_error_body(error);
  std::string text;
  append_status_line(text, error.status());
  append_header(text, "content-type", "application/json");
  append_header(text, "content-length", body.size());
  append_header(text, "connection", "close");
  text += "\r\n";
  co_await write({buffer(text), buffer(body)});
}

Task<void> HttpSession::linger() {
  if (stream_.is_tls()) co_return;  // end_tls() does the same
  stream_.shutdown_write();
  std::array<char, 4096> sink;
  const auto deadline = steady_clock::now() + linger_time;
  for (std::size_t taken = 0; taken < linger_bytes;) {
    const auto io = co_await stream_.read(sink, deadline);
    if (io.error) break;
    taken += io.bytes;
  }
}

}  // namespace hearth::net
