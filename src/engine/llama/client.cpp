#include "engine/llama/client.hpp"

#include <array>
#include <span>
#include <string>
#include <utility>

#include "async/deadline.hpp"
#include "base/log.hpp"
#include "contract/fields.hpp"
#include "net/sse.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;

constexpr std::size_t longest_reply =
    512UL * 1024 * 1024;  // 2048 vectors of 8192 dimensions in base64 take 90 MB
constexpr std::size_t longest_error = 64UL * 1024;

ApiError too_late() {
  return ApiError::timeout("The model did not answer in time.");
}

// Waits for `task` until `deadline`, with the transport's errors in the API's words.
template <class T>
Task<T> await_until(SteadyTime deadline, Task<T> task) {
  const auto left = deadline - std::chrono::steady_clock::now();
  try {
    co_return co_await async::with_deadline(std::max(left, SteadyTime::duration::zero()), std::move(task));
  } catch (const net::ClientError& error) {
    log::warn("engine lost", {{"cause", error.what()}});
    throw engine_lost();
  } catch (const async::DeadlineExceeded&) {
    throw too_late();
  }
}

net::ClientRequest make_request(std::string_view path, const json::object& body) {
  net::ClientRequest request;
  request.target = path;
  request.headers.add("content-type", "application/json");
  request.body = boost::json::serialize(body);
  return request;
}

class ServerEvents final : public EventReader {
 public:
  ServerEvents(std::unique_ptr<net::ClientResponse> response, SteadyTime deadline, Asked asked)
      : response_(std::move(response)), deadline_(deadline), asked_(asked) {}

  Task<std::optional<json::object>> next() override {
    while (true) {
      while (auto event = events_.next()) {
        if (event->data == "[DONE]") continue;  // the end of the body follows
        co_return read_event(event->data);
      }
      if (events_.failed()) throw engine_lost();
      if (ended_) co_return std::nullopt;
      const std::size_t count = co_await read_some();
      if (count == 0) {
        ended_ = true;
      } else {
        events_.feed(std::string_view(buffer_.data(), count));
      }
    }
  }

 private:
  // A timer for each read would cost more than the read. The server speaks at least every half minute (it
  // sends comments while it is silent), and a connection that is silent for longer is given up by the HTTP
  // client.
  Task<std::size_t> read_some() {
    if (std::chrono::steady_clock::now() >= deadline_) throw too_late();
    try {
      co_return co_await response_->read_some(std::span(buffer_));
    } catch (const net::ClientError& error) {
      log::warn("engine lost", {{"cause", error.what()}});
      throw engine_lost();
    }
  }

  json::object read_event(std::string_view data) const {
    auto parsed = json::parse(data);
    if (!parsed || !parsed->is_object()) throw engine_lost();
    json::object event = std::move(parsed->get_object());
    if (const json::object* error = json::find_object(event, field::error))
      throw error_from_event(*error, asked_);
    return event;
  }

  std::unique_ptr<net::ClientResponse> response_;
  SteadyTime deadline_;
  Asked asked_;
  net::SseParser events_;
  std::array<char, 16 * 1024> buffer_{};
  bool ended_ = false;
};

}  // namespace

// A generation may wait for a slot and then read a long prompt before its first byte: the call's deadline
// rules there. Between the bytes of a stream the server's own comments keep the line alive.
Client::Client(net::Origin origin)
    : http_(std::move(origin),
            net::ClientTimeouts{.header = std::chrono::hours(24), .between_bytes = std::chrono::minutes(2)}) {
}

Task<std::unique_ptr<net::ClientResponse>> Client::send(net::ClientRequest request, SteadyTime deadline) {
  co_return co_await await_until(deadline, http_.send(std::move(request)));
}

Task<json::object> Client::read_object(std::unique_ptr<net::ClientResponse> response, SteadyTime deadline,
                                       Asked asked) {
  const int status = response->head().status;
  const std::size_t limit = status == 200 ? longest_reply : longest_error;
  const std::string text = co_await await_until(deadline, response->read_all(limit));
  if (status != 200) throw error_from_reply(status, text, asked);
  auto parsed = json::parse(text);
  if (!parsed || !parsed->is_object()) throw error_from_reply(500, text, asked);
  co_return std::move(parsed->get_object());
}

Task<json::object> Client::get(std::string_view path, const CallContext& call) {
  net::ClientRequest request;
  request.method = "GET";
  request.target = path;
  auto response = co_await send(std::move(request), call.deadline());
  co_return co_await read_object(std::move(response), call.deadline(), Asked::internal);
}

Task<json::object> Client::post(std::string_view path, const json::object& body, const CallContext& call,
                                Asked asked) {
  auto response = co_await send(make_request(path, body), call.deadline());
  co_return co_await read_object(std::move(response), call.deadline(), asked);
}

Task<std::unique_ptr<EventReader>> Client::open(std::string_view path, const json::object& body,
                                                const CallContext& call, Asked asked) {
  auto response = co_await send(make_request(path, body), call.deadline());
  if (response->head().status != 200) {
    co_await read_object(std::move(response), call.deadline(), asked);  // throws the error
    throw engine_lost();
  }
  co_return std::make_unique<ServerEvents>(std::move(response), call.deadline(), asked);
}

}  // namespace hearth::engine::llama
