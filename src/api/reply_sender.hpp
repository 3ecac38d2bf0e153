// Replies on their way to the client: JSON, bytes, streams of events, sockets, errors. The only place that
// ends them. event_reply.cpp, byte_reply.cpp and socket_reply.cpp hold the parts that take their time.
#pragma once

#include <chrono>

#include "api/exchange.hpp"
#include "api/reply_head.hpp"
#include "async/task.hpp"
#include "base/api_error.hpp"
#include "base/id.hpp"
#include "contract/reply.hpp"
#include "contract/validator.hpp"

namespace hearth::api {

// What a reply used is counted before its last byte leaves. Every call throws ConnectionLost when the client
// has gone, and what the gate finds wrong before the reply has begun. Thread: the session's.
class ReplySender {
 public:
  // `validator` belongs to the contract whose replies these are: for the gate and for clients' events. A
  // socket lives for `socket_time` at the most.
  ReplySender(const ReplyHeads& heads, const contract::Validator& validator, IdSource& ids,
              std::chrono::milliseconds socket_time)
      : heads_(heads), validator_(validator), ids_(ids), socket_time_(socket_time) {}

  Task<void> send(Exchange& exchange, contract::Reply reply) const;
  // ConnectionLost where a reply has begun: it is cut off.
  Task<void> send_error(Exchange& exchange, const ApiError& error) const;

 private:
  net::ResponseHead head_of(const Exchange& exchange, contract::Reply& reply,
                            std::string_view content_type) const;
  Task<void> send_events(Exchange& exchange, contract::Reply reply) const;
  Task<void> send_stored(Exchange& exchange, contract::Reply reply) const;
  Task<void> send_live(Exchange& exchange, contract::Reply reply) const;
  Task<void> open_socket(Exchange& exchange, contract::Reply reply) const;

  const ReplyHeads& heads_;
  const contract::Validator& validator_;
  IdSource& ids_;
  const std::chrono::milliseconds socket_time_;
};

}  // namespace hearth::api
