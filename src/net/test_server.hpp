// For the tests of net/: a server whose handler is a lambda, and a client that sends raw bytes.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <gtest/gtest.h>

#include "async/deadline.hpp"
#include "async/runtime.hpp"
#include "async/scope.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "net/stream.hpp"

namespace hearth::net::testing {

using namespace std::chrono_literals;

using Handle = std::function<Task<void>(const RequestHead&, BodyReader&, ResponseWriter&)>;

class LambdaHandler final : public RequestHandler {
 public:
  explicit LambdaHandler(Handle handle) : handle_(std::move(handle)) {}
  Task<void> handle(const RequestHead& head, BodyReader& body, ResponseWriter& response) override {
    return handle_(head, body, response);
  }

 private:
  Handle handle_;
};

inline ResponseHead ok() {
  ResponseHead head;
  head.headers.add("content-type", "text/plain");
  return head;
}

// Answers with the request that it received: "<method> <target> <body>".
inline Task<void> echo(const RequestHead& head, BodyReader& body, ResponseWriter& response) {
  auto text = co_await body.read_all(4 * 1024 * 1024);
  co_await response.send(ok(), head.method + " " + head.target + " " + text);
}

// Bytes as they are; every wait ends after five seconds at the most.
class RawClient {
 public:
  explicit RawClient(async::Executor executor) : stream_(Socket(executor)) {}
  explicit RawClient(Socket accepted) : stream_(std::move(accepted)) { stream_.prepare(); }

  static Task<std::unique_ptr<RawClient>> connect(std::string address);

  Task<void> send(std::string text) {
    Stream::Parts parts{boost::asio::buffer(text)};
    ErrorCode error;
    if (!stream_.try_write(parts, error)) error = co_await stream_.finish_write(parts, 5s);
    send_error_ = error;
  }
  // Until `end` has come (included); all there is when the other side closes first.
  Task<std::string> read_until(std::string end) {
    for (;;) {
      if (const auto at = in_.view().find(end); at != std::string_view::npos) co_return take(at + end.size());
      const auto io = co_await stream_.fill(in_, Arrival::likely, deadline());
      if (io.error) {
        last_error_ = io.error;
        co_return take(in_.size());
      }
    }
  }
  // Head and body by Content-Length.
  Task<std::string> read_reply() {
    auto text = co_await read_until("\r\n\r\n");
    const auto at = text.find("content-length: ");
    if (at == std::string::npos) co_return text;
    const auto size = std::stoul(text.substr(at + 16));
    while (in_.size() < size) {
      if (const auto io = co_await stream_.fill(in_, Arrival::likely, deadline()); io.error) break;
    }
    co_return text + take(std::min<std::size_t>(size, in_.size()));
  }
  // What is here or comes next; empty at the end.
  Task<std::string> read_some() {
    if (in_.empty()) {
      if (const auto io = co_await stream_.fill(in_, Arrival::likely, deadline()); io.error)
        last_error_ = io.error;
    }
    co_return take(in_.size());
  }
  Task<std::string> read_to_end() { return read_until("\x01 never sent \x02"); }

  Stream& stream() { return stream_; }
  ErrorCode last_error() const { return last_error_; }
  ErrorCode send_error() const { return send_error_; }
  void close() {
    ErrorCode ignored;
    stream_.socket().close(ignored);
  }

 private:
  std::string take(std::size_t size) {
    auto text = std::string(in_.view().substr(0, size));
    in_.consume(size);
    return text;
  }
  static TimePoint deadline() { return std::chrono::steady_clock::now() + 5s; }

  Stream stream_;
  ReadBuffer in_;
  ErrorCode last_error_;
  ErrorCode send_error_;
};

// One run: a server on `addresses` and `body` beside it; shut down in the regular way at the end.
class TestServer {
 public:
  using Body = std::function<Task<void>(TestServer&)>;

  static void run(Handle handle, Body body, ServerLimits limits = {}, std::size_t loops = 1,
                  std::vector<ListenAddress> addresses = {{"127.0.0.1:0", std::nullopt}},
                  ClientTrustSource* client_trust = nullptr);
  // The same on a runtime of the caller's: what answers on it from other threads, such as a database, must
  // not outlive it.
  static void run_on(async::Runtime& runtime, Handle handle, Body body, ServerLimits limits = {},
                     const std::vector<ListenAddress>& addresses = {{"127.0.0.1:0", std::nullopt}},
                     ClientTrustSource* client_trust = nullptr);

  HttpServer& server() { return server_; }
  const std::string& address(std::size_t index = 0) const { return bound_[index]; }
  Origin origin(std::size_t index = 0) const {
    const auto& text = bound_[index];
    return *Origin::parse(text.starts_with("unix:") ? text : "http://" + text);
  }
  Task<std::unique_ptr<RawClient>> connect() { return RawClient::connect(bound_[0]); }
  // Sends `request` on a new connection and reads until the server closes it.
  Task<std::string> exchange(std::string request) {
    auto client = co_await connect();
    co_await client->send(std::move(request));
    co_return co_await client->read_to_end();
  }

 private:
  TestServer(async::Runtime& runtime, RequestHandler& handler, ServerLimits limits)
      : server_(runtime, handler, limits) {}

  HttpServer server_;
  std::vector<std::string> bound_;
};

inline Task<std::unique_ptr<RawClient>> RawClient::connect(std::string address) {
  auto client = std::make_unique<RawClient>(co_await boost::asio::this_coro::executor);
  const auto origin = *Origin::parse(address.starts_with("unix:") ? address : "http://" + address);
  boost::asio::generic::stream_protocol::endpoint endpoint;
  if (origin.scheme == "unix") {
    endpoint = boost::asio::local::stream_protocol::endpoint(origin.host);
  } else {
    endpoint = boost::asio::ip::tcp::endpoint(boost::asio::ip::make_address(origin.host), origin.port);
  }
  const auto error = co_await client->stream_.connect(endpoint, deadline());
  EXPECT_FALSE(error) << error.message();
  co_return client;
}

inline void TestServer::run(Handle handle, Body body, ServerLimits limits, std::size_t loops,
                            std::vector<ListenAddress> addresses, ClientTrustSource* client_trust) {
  async::Runtime runtime(loops);
  run_on(runtime, std::move(handle), std::move(body), limits, addresses, client_trust);
}

inline void TestServer::run_on(async::Runtime& runtime, Handle handle, Body body, ServerLimits limits,
                               const std::vector<ListenAddress>& addresses, ClientTrustSource* client_trust) {
  LambdaHandler handler(std::move(handle));
  TestServer test(runtime, handler, limits);
  if (client_trust) test.server_.demand_certificates(*client_trust);
  for (const auto& address : addresses)
    test.bound_.push_back(test.server_.listen(address));
  runtime.start();
  runtime.run_until_complete([](TestServer& server, Body& inner) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    scope.spawn("serve", server.server_.serve());
    std::exception_ptr thrown;
    try {
      co_await async::with_deadline(60s, inner(server));
    } catch (...) {
      thrown = std::current_exception();
    }
    server.server_.shutdown(thrown ? 0ms : 500ms);
    co_await scope.join();
    EXPECT_EQ(server.server_.statistics().open_connections, 0u);
    if (thrown) std::rethrow_exception(thrown);
  }(test, body));
}

// A faulty HTTP server: each accepted connection is given to `script`, which writes and reads bytes.
class ScriptedServer {
 public:
  using Script = std::function<Task<void>(RawClient& peer, int connection)>;
  using Body = std::function<Task<void>(Origin)>;

  static void run(Script script, Body body) {
    async::Runtime runtime(1);
    runtime.run_until_complete(run_here(std::move(script), std::move(body)));
  }

 private:
  static Task<void> run_here(Script script, Body body) {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    boost::asio::ip::tcp::acceptor acceptor(scope.executor(),
                                            {boost::asio::ip::make_address("127.0.0.1"), 0});
    scope.spawn("accept", accept(scope, acceptor, script));
    const Origin origin{"http", "127.0.0.1", acceptor.local_endpoint().port()};
    std::exception_ptr thrown;
    try {
      co_await async::with_deadline(10s, body(origin));
    } catch (...) {
      thrown = std::current_exception();
    }
    scope.cancel();
    co_await scope.join();
    if (thrown) std::rethrow_exception(thrown);
  }
  static Task<void> accept(async::Scope& scope, boost::asio::ip::tcp::acceptor& acceptor, Script& script) {
    for (int connection = 0;; ++connection) {
      Socket socket(co_await acceptor.async_accept(boost::asio::use_awaitable));
      scope.spawn("script", talk(std::move(socket), script, connection));
    }
  }
  static Task<void> talk(Socket socket, Script& script, int connection) {
    RawClient peer(std::move(socket));
    co_await script(peer, connection);
  }
};

}  // namespace hearth::net::testing
