// The HTTP client: pooled keep-alive connections to one origin each, over TCP, TLS or a UNIX socket.
//
// A pool belongs to one origin and keeps its idle connections per executor, so a request never crosses
// threads. Thread: any executor of the runtime; each call stays on its caller's. Dies before the runtime
// does.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/http.hpp"

namespace hearth::net {

// "http://host:port", "https://host", "unix:/path.sock". The path part of a base URL is kept apart by the
// caller.
struct Origin {
  std::string scheme;  // http | https | unix
  std::string host;    // name, IPv4, IPv6 without brackets; the socket's path for unix
  std::uint16_t port = 0;

  // nullopt for anything else than the three forms (a trailing path is returned in `path`).
  static std::optional<Origin> parse(std::string_view url, std::string* path = nullptr);
  std::string host_header() const;
  auto operator<=>(const Origin&) const = default;
};

struct ClientTimeouts {
  std::chrono::milliseconds connect{5'000};
  std::chrono::milliseconds header{600'000};  // from the request's last byte to the reply's header
  std::chrono::milliseconds between_bytes{120'000};
  std::chrono::milliseconds idle{60'000};  // how long a connection is kept without use
};

// A body that is made while it is sent. Thread: that of send(), one call at a time.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // Up to out.size() bytes, 0 at the end. What it throws ends the request and reaches the caller of send();
  // cancelled when the reply comes before the body is over.
  virtual Task<std::size_t> read_some(std::span<char> out) = 0;
  // Back to the first byte, also before any was read; false when that cannot be.
  virtual bool rewind() { return false; }
};

struct ClientRequest {
  std::string method = "POST";
  std::string target = "/";
  Headers headers;  // Host, Content-Length or Transfer-Encoding, and Connection are added
  std::string body;
  // In place of `body` where it is set; must live until send() has returned.
  BodySource* source = nullptr;
  std::optional<std::uint64_t> source_size =
      std::nullopt;  // bytes it will give; chunked when that is not known
};

// Where a failed request stands; decides whether another replica may try it.
enum class FailedAt { connecting, sending, waiting_for_header, reading_body };

struct ClientError : std::exception {
  ClientError(FailedAt stage, std::string cause) : stage_(stage), cause_(std::move(cause)) {}
  FailedAt stage() const { return stage_; }
  const char* what() const noexcept override { return cause_.c_str(); }

 private:
  FailedAt stage_;
  std::string cause_;
};

// A reply whose body is still to be read. Destroyed early, its connection is closed (which tells the other
// side to stop); read to the end, it goes back to the pool.
class ClientResponse {
 public:
  virtual ~ClientResponse() = default;
  virtual const ResponseHead& head() const = 0;
  // 0 at the regular end; ClientError(reading_body) when the body breaks off.
  virtual Task<std::size_t> read_some(std::span<char> buffer) = 0;
  // The rest, at most `limit` bytes.
  virtual Task<std::string> read_all(std::size_t limit) = 0;
};

class HttpClient {
 public:
  // `idle_connections` are kept per executor.
  HttpClient(Origin origin, ClientTimeouts timeouts, std::size_t idle_connections = 64);
  ~HttpClient();

  // Sends and reads the reply's header. A kept connection that the other side closed meanwhile is replaced by
  // a new one without the caller noticing; a body that cannot be rewound is sent on a new one from the start.
  // A reply that comes before a streamed body is over ends the sending: a server refuses by the head alone.
  // Throws ClientError; when cancelled, system_error(operation_aborted).
  Task<std::unique_ptr<ClientResponse>> send(ClientRequest request);

  const Origin& origin() const;
  // Drops idle connections: the other side has restarted.
  void close_idle();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::net
