// One accepted connection: reads requests, hands them to the handler, keeps the connection or closes it.
//
// A session is one coroutine on one executor. Its limits are deadlines on its stream; nothing is polled while
// a request runs, except that a client's leaving is watched when the handler asks (closed()). Made by the
// listener. Private to net/.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <boost/intrusive/list.hpp>

#include "async/task.hpp"
#include "net/http.hpp"
#include "net/http_parser.hpp"
#include "net/http_server.hpp"
#include "net/stream.hpp"

namespace hearth::net {

class WebSocketConnection;

struct SessionCounters {
  std::atomic<std::size_t> open{0};
  std::atomic<std::size_t> accepted{0};
  std::atomic<std::size_t> refused{0};
  std::atomic<std::size_t> timed_out{0};
};

// What all sessions of a server share.
struct SessionContext {
  RequestHandler& handler;
  ServerLimits limits;
  SessionCounters counters;
  ClientTrustSource* client_trust = nullptr;  // who is asked for a certificate; nobody without
};

// Thread: the loop's, from construction on.
class HttpSession
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  HttpSession(SessionContext& context, Socket socket, boost::asio::ssl::context* tls);

  // Until the connection ends. Throws nothing but a cancellation.
  Task<void> run();

  // The server stops: an idle connection and a WebSocket end now, a busy one after its reply.
  void drain();
  // Ends pending reads and writes; the handler sees ConnectionLost.
  void cut();

 private:
  friend class HttpExchange;
  enum class Next { keep, close, linger };

  // False when nothing can be said on the connection.
  Task<bool> shake_hands();
  Task<Next> serve_one();
  // The next request's head into `parser_`; false when there is none: `next` then says what to do.
  Task<bool> read_head(Next& next);
  Task<void> run_handler(class HttpExchange& exchange);
  Task<Next> finish(class HttpExchange& exchange);
  // A reply from here, for what never becomes a request.
  Task<void> refuse(const ParseFailure& failure, std::string_view code);
  // Sends the end and takes what is still coming for a short time, so that the reply is not lost to a reset.
  Task<void> linger();
  Task<void> write(Stream::Parts parts);

  SessionContext& context_;
  Stream stream_;
  boost::asio::ssl::context* tls_;
  std::string remote_address_;
  std::unique_ptr<ClientCertificate> client_certificate_;
  ReadBuffer in_;
  std::optional<HttpParser> parser_;
  Arrival next_arrival_ = Arrival::likely;  // a client that has just connected has sent its request
  WebSocketConnection* socket_ = nullptr;   // while the connection is one
  bool idle_ = true;
  bool draining_ = false;
  bool peer_gone_ = false;
  bool was_cut_ = false;
};

}  // namespace hearth::net
