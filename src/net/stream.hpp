// A connected byte stream, plain (TCP, UNIX) or TLS, with deadlines: what sessions and the client read and
// write.
//
// Plain sockets are read and written by direct non-blocking calls first; only a call that would block waits
// in the event loop. So a request that is already here costs no suspension, and an idle connection holds no
// buffer. Thread: the executor of its socket. Private to net/.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/system/error_code.hpp>

#include "async/task.hpp"
#include "net/client_trust.hpp"
#include "net/watchdog.hpp"

namespace boost::asio::ssl {
class context;
}

namespace hearth::net {

using Socket = boost::asio::generic::stream_protocol::socket;
using ErrorCode = boost::system::error_code;

// Received and not yet used bytes. Holds no memory while empty.
class ReadBuffer {
 public:
  std::string_view view() const { return std::string_view(data_).substr(begin_); }
  std::size_t size() const { return data_.size() - begin_; }
  bool empty() const { return size() == 0; }
  void consume(std::size_t bytes);
  void append(std::string_view bytes) { data_.append(bytes); }
  // Lets `receive(char*, capacity)` write behind what is here; it returns how many bytes it wrote.
  template <class Receive>
  void append_with(std::size_t capacity, Receive receive) {
    const auto old = data_.size();
    data_.resize_and_overwrite(
        old + capacity, [&](char* start, std::size_t) { return old + receive(start + old, capacity); });
  }

 private:
  std::string data_;
  std::size_t begin_ = 0;
};

struct IoResult {
  std::size_t bytes = 0;
  ErrorCode error;  // asio::error::eof at the end, asio::error::timed_out past the deadline
};

// Whether bytes are likely to be here already.
enum class Arrival { likely, later };

class Stream {
 public:
  using Parts = std::array<boost::asio::const_buffer, 5>;

  explicit Stream(Socket socket);
  ~Stream();
  Stream(const Stream&) = delete;

  Socket& socket() { return socket_; }
  // To be called once the socket is open.
  void prepare();

  Task<ErrorCode> connect(boost::asio::generic::stream_protocol::endpoint endpoint, TimePoint deadline);
  // `trust` may be null; used until the handshake has ended.
  Task<ErrorCode> accept_tls(boost::asio::ssl::context& context, const ClientTrust* trust,
                             TimePoint deadline);
  // Verifies the peer's certificate for `host`.
  Task<ErrorCode> connect_tls(boost::asio::ssl::context& context, std::string host, TimePoint deadline);

  // Tells the peer that the stream ends on purpose; does nothing on a plain stream.
  Task<void> end_tls(TimePoint deadline);

  Task<IoResult> read(std::span<char> out, TimePoint deadline);
  // Appends what arrives.
  Task<IoResult> fill(ReadBuffer& buffer, Arrival arrival, TimePoint deadline);

  // Writes what can be written at once; true when nothing is left or `error` is set.
  bool try_write(Parts& parts, ErrorCode& error);
  // Writes the rest; `patience` is for each wait without progress.
  Task<ErrorCode> finish_write(Parts parts, std::chrono::milliseconds patience);

  // Lets the other coroutines of this loop run when many operations in a row ended without a suspension.
  bool wants_yield() { return ++inline_operations_ % 64 == 0; }

  // Without reading: the other side has closed its half or the connection has failed.
  bool peer_hung_up() const;
  // True when bytes or the end of the stream have arrived on a connection that should be silent.
  bool has_unexpected_input() const;
  bool is_tls() const { return tls_ != nullptr; }
  // What the peer showed in the handshake; null when it showed nothing.
  std::unique_ptr<ClientCertificate> client_certificate() const;
  // A write ended halfway (deadline, cancellation): nothing more can be said on this stream.
  bool broken() const { return broken_; }

  // Pending operations end with operation_aborted.
  void cancel();
  void shutdown_write();
  // Closes so that the peer sees a reset and not the regular end.
  void reset();

 private:
  struct Tls;
  struct Deadline final : Watchdog::Entry {
    explicit Deadline(Stream& stream) : stream_(stream) {}
    void on_deadline() override;
    Stream& stream_;
    bool expired_ = false;
  };
  class Armed;

  Task<IoResult> read_tls(std::span<char> out, TimePoint deadline);
  Task<IoResult> fill_tls(ReadBuffer& buffer, TimePoint deadline);
  Task<ErrorCode> wait_readable(TimePoint deadline);
  Task<ErrorCode> handshake(int type, TimePoint deadline);

  Socket socket_;
  Watchdog& watchdog_;
  Deadline read_deadline_{*this};
  Deadline write_deadline_{*this};
  std::unique_ptr<Tls> tls_;
  unsigned inline_operations_ = 0;
  std::size_t next_read_ = 0;
  bool broken_ = false;
};

}  // namespace hearth::net
