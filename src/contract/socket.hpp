// What the handler of a socket operation talks to, free of HTTP and of frames.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.hpp"
#include "base/api_error.hpp"
#include "json/json.hpp"

namespace hearth::contract {

// A client's event that fits its schema.
struct ClientEvent {
  std::string_view type;  // its name in the contract; lives for ever
  json::Document document;
  // Paths of the members that are accepted without effect.
  std::vector<std::string> ignored;

  json::object& object() { return document.root().get_object(); }
  // The name that the client gave to it; errors about it repeat that.
  std::string_view id() const;
};

// Events of both sides, checked against the contract. What is wrong with a client's event is told to it in an
// error event, and the handler never sees it. Thread: the session's; several coroutines of a conversation may
// use it at the same time. Every wait may be cancelled without loss.
class Socket {
 public:
  virtual ~Socket() = default;
  // The next valid event; nullopt once the client has left.
  virtual Task<std::optional<ClientEvent>> receive() = 0;
  // `event` is one of the server's in the contract, by its `type`. Waits for a slow client. Throws
  // ConnectionLost when the socket has ended, and what the gate finds wrong.
  virtual Task<void> send(const json::value& event) = 0;
  // An error event; the socket stays open. `about` is the id of the client's event that caused it, or empty.
  virtual Task<void> send_error(const ApiError& error, std::string_view about) = 0;
};

}  // namespace hearth::contract
