#include "net/stream.hpp"

#include <algorithm>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

namespace hearth::net {
namespace {

namespace asio = boost::asio;

constexpr std::size_t first_read = 4 * 1024;
constexpr std::size_t largest_read = 16 * 1024;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

ErrorCode last_error() {
  return {errno, boost::system::system_category()};
}

bool would_block(const ErrorCode& error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

// Drops `written` bytes from the front.
void advance(Stream::Parts& parts, std::size_t written) {
  for (auto& part : parts) {
    const auto taken = std::min(written, part.size());
    part += taken;
    written -= taken;
  }
}

}  // namespace

void ReadBuffer::consume(std::size_t bytes) {
  begin_ += bytes;
  if (begin_ == data_.size()) {
    data_ = std::string();
    begin_ = 0;
  } else if (begin_ > data_.size() / 2) {
    data_.erase(0, begin_);
    begin_ = 0;
  }
}

struct Stream::Tls {
  Tls(Socket& socket, asio::ssl::context& context) : stream(socket, context) {}
  asio::ssl::stream<Socket&> stream;
};

// Keeps a deadline armed for one wait, also when the wait is cancelled by an exception.
class Stream::Armed {
 public:
  Armed(Watchdog& watchdog, Deadline& deadline, TimePoint when) : deadline_(deadline) {
    deadline_.expired_ = false;
    if (when != TimePoint::max()) watchdog.arm(deadline_, when);
  }
  ~Armed() { deadline_.disarm(); }
  Armed(const Armed&) = delete;
  ErrorCode result(const ErrorCode& error) const {
    if (error == asio::error::operation_aborted && deadline_.expired_) return asio::error::timed_out;
    return error;
  }

 private:
  Deadline& deadline_;
};

void Stream::Deadline::on_deadline() {
  expired_ = true;
  if (this == &stream_.write_deadline_) stream_.broken_ = true;
  stream_.cancel();
}

Stream::Stream(Socket socket) : socket_(std::move(socket)), watchdog_(Watchdog::of(socket_.get_executor())) {}

Stream::~Stream() = default;

void Stream::prepare() {
  ErrorCode ignored;
  socket_.native_non_blocking(true, ignored);
  const int on = 1;  // fails on a UNIX socket, which needs none
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Task<ErrorCode> Stream::connect(asio::generic::stream_protocol::endpoint endpoint, TimePoint deadline) {
  ErrorCode error;
  if (socket_.is_open()) socket_.close(error);
  socket_.open(endpoint.protocol(), error);
  if (error) co_return error;
  Armed armed(watchdog_, write_deadline_, deadline);
  auto [result] = co_await socket_.async_connect(endpoint, as_result);
  if (!result) prepare();
  error = armed.result(result);
  broken_ = false;  // another endpoint may be tried
  co_return error;
}

Task<ErrorCode> Stream::handshake(int type, TimePoint deadline) {
  Armed armed(watchdog_, read_deadline_, deadline);
  auto [error] = co_await tls_->stream.async_handshake(
      static_cast<asio::ssl::stream_base::handshake_type>(type), as_result);
  co_return armed.result(error);
}

Task<ErrorCode> Stream::accept_tls(asio::ssl::context& context, const ClientTrust* trust,
                                   TimePoint deadline) {
  tls_ = std::make_unique<Tls>(socket_, context);
  SSL_set_mode(tls_->stream.native_handle(), SSL_MODE_RELEASE_BUFFERS);
  if (trust) trust->prepare(tls_->stream.native_handle());
  return handshake(asio::ssl::stream_base::server, deadline);
}

Task<ErrorCode> Stream::connect_tls(asio::ssl::context& context, std::string host, TimePoint deadline) {
  tls_ = std::make_unique<Tls>(socket_, context);
  SSL_set_mode(tls_->stream.native_handle(), SSL_MODE_RELEASE_BUFFERS);
  SSL_set_tlsext_host_name(tls_->stream.native_handle(), host.c_str());
  ErrorCode error;
  tls_->stream.set_verify_mode(asio::ssl::verify_peer, error);
  tls_->stream.set_verify_callback(asio::ssl::host_name_verification(host), error);
  return handshake(asio::ssl::stream_base::client, deadline);
}

std::unique_ptr<ClientCertificate> Stream::client_certificate() const {
  return tls_ ? ClientCertificate::of(tls_->stream.native_handle()) : nullptr;
}

Task<void> Stream::end_tls(TimePoint deadline) {
  if (!tls_) co_return;
  Armed armed(watchdog_, read_deadline_, deadline);
  co_await tls_->stream.async_shutdown(as_result);
}

Task<ErrorCode> Stream::wait_readable(TimePoint deadline) {
  Armed armed(watchdog_, read_deadline_, deadline);
  auto [error] = co_await socket_.async_wait(Socket::wait_read, as_result);
  co_return armed.result(error);
}

Task<IoResult> Stream::read(std::span<char> out, TimePoint deadline) {
  if (tls_) co_return co_await read_tls(out, deadline);
  for (;;) {
    const auto got = ::recv(socket_.native_handle(), out.data(), out.size(), 0);
    if (got > 0) co_return IoResult{static_cast<std::size_t>(got), {}};
    if (got == 0) co_return IoResult{0, asio::error::eof};
    if (errno == EINTR) continue;
    if (const auto error = last_error(); !would_block(error)) co_return IoResult{0, error};
    if (const auto error = co_await wait_readable(deadline)) co_return IoResult{0, error};
  }
}

Task<IoResult> Stream::read_tls(std::span<char> out, TimePoint deadline) {
  Armed armed(watchdog_, read_deadline_, deadline);
  auto [error, bytes] =
      co_await tls_->stream.async_read_some(asio::buffer(out.data(), out.size()), as_result);
  if (error == asio::ssl::error::stream_truncated) error = asio::error::eof;
  co_return IoResult{bytes, armed.result(error)};
}

Task<IoResult> Stream::fill(ReadBuffer& buffer, Arrival arrival, TimePoint deadline) {
  if (tls_) co_return co_await fill_tls(buffer, deadline);
  if (arrival == Arrival::later) {
    if (buffer.empty()) next_read_ = 0;
    if (const auto error = co_await wait_readable(deadline)) co_return IoResult{0, error};
  }
  for (;;) {
    const auto capacity = std::clamp(next_read_, first_read, largest_read);
    ssize_t got = 0;
    int cause = 0;
    buffer.append_with(capacity, [&](char* start, std::size_t room) {
      got = ::recv(socket_.native_handle(), start, room, 0);
      cause = errno;
      return got > 0 ? static_cast<std::size_t>(got) : 0;
    });
    if (got > 0) {
      // A buffer that was filled means more is coming: the next read is larger.
      next_read_ = static_cast<std::size_t>(got) == capacity ? capacity * 2 : first_read;
      co_return IoResult{static_cast<std::size_t>(got), {}};
    }
    buffer.consume(0);  // gives the memory back when nothing is in it
    if (got == 0) co_return IoResult{0, asio::error::eof};
    if (cause == EINTR) continue;
    const ErrorCode error(cause, boost::system::system_category());
    if (!would_block(error)) co_return IoResult{0, error};
    if (const auto failed = co_await wait_readable(deadline)) co_return IoResult{0, failed};
  }
}

Task<IoResult> Stream::fill_tls(ReadBuffer& buffer, TimePoint deadline) {
  std::array<char, first_read> piece;
  auto result = co_await read_tls(piece, deadline);
  buffer.append(std::string_view(piece.data(), result.bytes));
  co_return result;
}

bool Stream::try_write(Parts& parts, ErrorCode& error) {
  if (broken_) {
    error = asio::error::connection_aborted;
    return true;
  }
  if (tls_) return false;
  while (asio::buffer_size(parts) > 0) {
    std::array<iovec, std::tuple_size_v<Parts>> pieces;
    std::size_t count = 0;
    for (const auto& part : parts) {
      if (part.size() > 0) pieces[count++] = {const_cast<void*>(part.data()), part.size()};
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const auto sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
    if (sent >= 0) {
      advance(parts, static_cast<std::size_t>(sent));
    } else if (errno != EINTR) {
      const auto cause = last_error();
      if (would_block(cause)) return false;
      error = cause;
      return true;
    }
  }
  return true;
}

Task<ErrorCode> Stream::finish_write(Parts parts, std::chrono::milliseconds patience) {
  if (tls_) {
    // One record instead of one for each part. Whole pieces, so that the patience is for each of them.
    std::string text;
    for (const auto& part : parts)
      text.append(static_cast<const char*>(part.data()), part.size());
    for (std::size_t at = 0; at < text.size();) {
      Armed armed(watchdog_, write_deadline_, std::chrono::steady_clock::now() + patience);
      const auto size = std::min(text.size() - at, largest_read);
      auto [error, sent] =
          co_await asio::async_write(tls_->stream, asio::buffer(text.data() + at, size), as_result);
      if (error) {
        broken_ = true;
        co_return armed.result(error);
      }
      at += sent;
    }
    co_return ErrorCode();
  }
  ErrorCode error;
  while (!try_write(parts, error)) {
    Armed armed(watchdog_, write_deadline_, std::chrono::steady_clock::now() + patience);
    auto [result] = co_await socket_.async_wait(Socket::wait_write, as_result);
    if (result) {
      broken_ = true;
      co_return armed.result(result);
    }
  }
  co_return error;
}

bool Stream::peer_hung_up() const {
  pollfd entry{const_cast<Socket&>(socket_).native_handle(), POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

bool Stream::has_unexpected_input() const {
  pollfd entry{const_cast<Socket&>(socket_).native_handle(), POLLIN | POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) != 0;
}

void Stream::cancel() {
  ErrorCode ignored;
  socket_.cancel(ignored);
}

void Stream::shutdown_write() {
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::reset() {
  ErrorCode ignored;
  socket_.set_option(Socket::linger(true, 0), ignored);
  socket_.close(ignored);
}

}  // namespace hearth::net
