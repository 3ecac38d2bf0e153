// One conversation over a WebSocket: JSON events in and out, checked against the contract.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/id.hpp"
#include "contract/operation.hpp"
#include "contract/reply.hpp"
#include "contract/socket.hpp"
#include "contract/validator.hpp"
#include "net/web_socket.hpp"

namespace hearth::api {

// Made by the reply sender for one open socket. Thread: the session's.
class SocketSession final : public contract::Socket {
 public:
  // All of them outlive the session.
  SocketSession(net::WebSocket& socket, const contract::Operation& operation,
                const contract::Validator& validator, IdSource& ids)
      : socket_(socket), operation_(operation), validator_(validator), ids_(ids) {}

  // Runs the conversation until it returns, fails, or `lifetime` has passed; it is cancelled soon after the
  // client has left. What it fails by is told to the client before the socket is closed. Returns the outcome
  // for the log: "ok" or the code of an error.
  Task<std::string> run(contract::Conversation conversation, std::chrono::milliseconds lifetime);

  Task<std::optional<contract::ClientEvent>> receive() override;
  Task<void> send(const json::value& event) override;
  Task<void> send_error(const ApiError& error, std::string_view about) override;

 private:
  // Throws ApiError 400 where the text is no valid event. `about` receives the event's id as soon as it is
  // known.
  contract::ClientEvent read_event(std::string_view text, std::string& about) const;
  const contract::EventForm& form_of(const json::value& event) const;
  // Ends when nobody is left to talk to, or the time is over.
  Task<void> until_over(std::chrono::milliseconds lifetime, bool& expired);
  Task<void> part(const ApiError& error, std::uint16_t code);

  net::WebSocket& socket_;
  const contract::Operation& operation_;
  const contract::Validator& validator_;
  IdSource& ids_;
};

}  // namespace hearth::api
