// Talks to one llama-server: JSON calls and event streams, with deadlines, errors in the API's words.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "engine/backend.hpp"
#include "engine/llama/errors.hpp"
#include "json/json.hpp"
#include "net/http_client.hpp"

namespace hearth::engine::llama {

// The events of one streamed call. Destroyed early, it closes the connection, which makes the server stop.
class EventReader {
 public:
  virtual ~EventReader() = default;
  // nullopt at the end of the body; whether the answer was complete, the events before it tell. Throws
  // ApiError.
  virtual Task<std::optional<json::object>> next() = 0;
};

// Thread: any; each call stays on its caller's executor. Every call throws ApiError: the server's own errors
// as error_from_reply() says, 503 engine_unavailable when the server is gone, 504 after the call's deadline.
class Client {
 public:
  explicit Client(net::Origin origin);

  Task<json::object> get(std::string_view path, const CallContext& call);
  Task<json::object> post(std::string_view path, const json::object& body, const CallContext& call,
                          Asked asked);
  Task<std::unique_ptr<EventReader>> open(std::string_view path, const json::object& body,
                                          const CallContext& call, Asked asked);

 private:
  Task<std::unique_ptr<net::ClientResponse>> send(net::ClientRequest request, SteadyTime deadline);
  Task<json::object> read_object(std::unique_ptr<net::ClientResponse> response, SteadyTime deadline,
                                 Asked asked);

  net::HttpClient http_;
};

}  // namespace hearth::engine::llama
