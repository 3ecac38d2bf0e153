// For the tests of engine/: an HTTP server that sends exactly the bytes a test wants, also wrong ones.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "async/deadline.hpp"
#include "async/runtime.hpp"
#include "async/scope.hpp"

namespace hearth::engine::testing {

struct ScriptedRequest {
  std::string head;
  std::string body;
  std::string target() const {
    const auto begin = head.find(' ') + 1;
    return head.substr(begin, head.find(' ', begin) - begin);
  }
  // The value of a header, as sent; empty when absent.
  std::string header(std::string_view lower_case_name) const {
    std::string lower = head;
    for (char& c : lower)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto at = lower.find("\r\n" + std::string(lower_case_name) + ": ");
    if (at == std::string::npos) return "";
    const auto begin = at + lower_case_name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

// Thread: the scope's. Ends when the scope is cancelled.
class ScriptedServer {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Send = std::function<Task<void>(std::string)>;
  enum class Then { keep, close };
  using Script = std::function<Task<Then>(const ScriptedRequest&, const Send&)>;

  ScriptedServer(async::Scope& scope, Script script)
      : state_(std::make_shared<State>(scope, std::move(script))),
        requests(state_->requests),
        connections(state_->connections) {
    scope.spawn("accept", accept(state_));
  }
  std::string url(std::string_view path = "") const {
    return fmt::format("http://127.0.0.1:{}{}", state_->acceptor.local_endpoint().port(), path);
  }
  // From now on nobody listens.
  void stop_listening() { state_->acceptor.close(); }
  void set_script(Script script) { state_->script = std::move(script); }

 private:
  struct State {
    State(async::Scope& owner, Script first)
        : scope(owner),
          script(std::move(first)),
          acceptor(owner.executor(), {boost::asio::ip::make_address("127.0.0.1"), 0}) {}
    async::Scope& scope;
    Script script;
    boost::asio::ip::tcp::acceptor acceptor;
    std::vector<ScriptedRequest> requests;
    std::size_t connections = 0;
  };
  std::shared_ptr<State> state_;  // shared with the coroutines, which the scope ends after the test's body

 public:
  const std::vector<ScriptedRequest>& requests;
  const std::size_t& connections;

 private:
  static Task<void> accept(std::shared_ptr<State> state) {
    for (;;) {
      auto [error, socket] =
          co_await state->acceptor.async_accept(boost::asio::as_tuple(boost::asio::use_awaitable));
      if (error) co_return;
      ++state->connections;
      state->scope.spawn("connection", serve(state, std::move(socket)));
    }
  }

  static Task<void> serve(std::shared_ptr<State> state, Socket socket) {
    static constexpr auto quiet = boost::asio::as_tuple(boost::asio::use_awaitable);
    const Send send = [&socket](std::string bytes) -> Task<void> {
      co_await boost::asio::async_write(socket, boost::asio::buffer(bytes), quiet);
    };
    std::string buffer;
    for (;;) {
      auto [error, head_size] = co_await boost::asio::async_read_until(
          socket, boost::asio::dynamic_buffer(buffer), "\r\n\r\n", quiet);
      if (error) co_return;
      ScriptedRequest request{.head = buffer.substr(0, head_size)};
      buffer.erase(0, head_size);
      const std::string length = request.header("content-length");
      const std::size_t body_size = length.empty() ? 0 : std::stoul(length);
      while (buffer.size() < body_size) {
        char piece[4096];
        auto [read_error, n] = co_await socket.async_read_some(boost::asio::buffer(piece), quiet);
        if (read_error) co_return;
        buffer.append(piece, n);
      }
      request.body = buffer.substr(0, body_size);
      buffer.erase(0, body_size);
      state->requests.push_back(request);
      const Script script = state->script;
      if (co_await script(request, send) == Then::close) co_return;
    }
  }
};

inline std::string plain_reply(int status, std::string_view body, std::string_view headers = "") {
  return fmt::format("HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{}\r\n{}",
                     status, body.size(), headers, body);
}
inline std::string stream_head() {
  return "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
}
inline std::string chunk(std::string_view bytes) {
  return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
}
inline std::string event(std::string_view data) {
  return chunk(fmt::format("data: {}\n\n", data));
}
inline std::string last_chunk() {
  return "0\r\n\r\n";
}

// Runs `body(scope)` on a runtime of one loop; what it left in the scope is cancelled.
template <class Body>
void on_runtime(Body body) {
  async::Runtime runtime(1);
  runtime.run_until_complete([](Body& run) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    std::exception_ptr failure;
    try {
      co_await async::with_deadline(std::chrono::seconds(30), run(scope));
    } catch (...) {
      failure = std::current_exception();
    }
    scope.cancel();
    co_await scope.join();
    if (failure) std::rethrow_exception(failure);
  }(body));
}

}  // namespace hearth::engine::testing
