// The listener and its sessions: HTTP/1.1 over TCP (IPv4, IPv6), UNIX sockets and TLS.
//
// Life: made by app/, listen() for each address, then serve() until shutdown(). Sessions are spread over
// the runtime's loops, each on one. Limits: header bytes, header time, idle time, body pace, connections; a
// client that exceeds one gets an answer (408, 413, 431) where that is possible, and is cut off.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/runtime.hpp"
#include "net/client_trust.hpp"
#include "net/http.hpp"

namespace hearth::net {

struct TlsOptions {
  std::string certificate_file;  // PEM chain
  std::string key_file;
};

struct ServerLimits {
  std::size_t header_bytes = 32 * 1024;
  std::size_t connections = 10'000;
  std::chrono::milliseconds header_time{10'000};  // from the first byte of a request to the end of its header
  std::chrono::milliseconds idle_time{
      75'000};  // between requests on a kept connection; also before the first byte
  std::chrono::milliseconds body_time{30'000};   // without a single byte of an announced body
  std::size_t body_bytes_per_second = 1024;      // average below which a sender is cut, after body_time
  std::chrono::milliseconds write_time{30'000};  // a client that takes nothing for that long is cut
  // A WebSocket's client that was not heard for this long is pinged, 0 = never; one that then stays silent is
  // cut.
  std::chrono::milliseconds socket_ping_interval{30'000};
  std::chrono::milliseconds socket_pong_time{20'000};
  std::chrono::milliseconds socket_close_time{5'000};  // for the client's answer to a close frame
};

// "127.0.0.1:8080", "[::1]:8080", "localhost:0", "unix:/run/hearth.sock". A stale socket file is removed.
struct ListenAddress {
  std::string text;
  std::optional<TlsOptions> tls;
};

struct ServerStatistics {
  std::size_t open_connections = 0;
  std::size_t accepted = 0;
  std::size_t refused = 0;    // over the connection limit
  std::size_t timed_out = 0;  // slow senders and idle connections
};

class HttpServer {
 public:
  HttpServer(async::Runtime& runtime, RequestHandler& handler, ServerLimits limits);
  ~HttpServer();

  // From here on TLS connections are asked for the certificates that `source` trusts at their time. Before
  // serve(); the source outlives the server.
  void demand_certificates(ClientTrustSource& source);

  // Binds and listens at once, so that a port in use is an error at start; returns the bound address with its
  // real port. Throws std::runtime_error, which names the address and the cause.
  std::string listen(const ListenAddress& address);

  // Accepts until shutdown(); returns when every session has ended.
  Task<void> serve();

  // Stops accepting, closes idle connections, lets running requests finish; what runs after `deadline` is
  // cut. Thread: any.
  void shutdown(std::chrono::milliseconds deadline);

  ServerStatistics statistics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::net
