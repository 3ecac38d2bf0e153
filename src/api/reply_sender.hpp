// Replies on their way to the client: JSON, bytes, streams of events, errors. The only place that ends them.
// event_reply.cpp and byte_reply.cpp hold the parts that send in pieces.
#pragma once

#include "api/exchange.hpp"
#include "api/reply_head.hpp"
#include "async/task.hpp"
#include "base/api_error.hpp"
#include "contract/reply.hpp"
#include "contract/validator.hpp"

namespace hearth::api {

// What a reply used is counted before its last byte leaves. Every call throws ConnectionLost when the client
// has gone, and what the gate finds wrong before the reply has begun. Thread: the session's.
class ReplySender {
 public:
  // `validator`: of the contract whose replies these are, for the gate.
  ReplySender(const ReplyHeads& heads, const contract::Validator& validator)
      : heads_(heads), validator_(validator) {}

  Task<void> send(Exchange& exchange, contract::Reply reply) const;
  // ConnectionLost where a reply has begun: it is cut off.
  Task<void> send_error(Exchange& exchange, const ApiError& error) const;

 private:
  net::ResponseHead head_of(const Exchange& exchange, contract::Reply& reply,
                            std::string_view content_type) const;
  Task<void> send_events(Exchange& exchange, contract::Reply reply) const;
  Task<void> send_stored(Exchange& exchange, contract::Reply reply) const;
  Task<void> send_live(Exchange& exchange, contract::Reply reply) const;

  const ReplyHeads& heads_;
  const contract::Validator& validator_;
};

}  // namespace hearth::api
