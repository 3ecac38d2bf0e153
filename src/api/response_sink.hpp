// Where a stream's events meet the connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/asio/steady_timer.hpp>

#include "contract/operation.hpp"
#include "contract/reply.hpp"
#include "contract/validator.hpp"
#include "net/http.hpp"

namespace hearth::api {

// Gathers events while the producer has more at hand and writes them when it pauses: an engine that delivers
// many chunks at once costs one system call, one that delivers slowly loses no time. Used by the pipeline,
// which runs the producer and pump() side by side. Thread: the session's.
class ResponseSink final : public contract::EventSink {
 public:
  ResponseSink(const contract::Validator& validator, const contract::Operation& operation,
               net::ResponseWriter& response, const async::Executor& executor);

  // Waits when the client is slow. Throws what the gate finds wrong.
  Task<void> send(std::string_view event, const json::value& data) override;
  // An event of the pipeline's own: an error, or the end.
  void append(std::string_view event, std::string_view data);

  // Writes until cancelled; throws ConnectionLost. An event is either written as a whole or not begun.
  Task<void> pump();
  // Nobody takes the events any more, while their producer goes on. Not while pump() runs.
  void discard();
  bool discards() const { return discards_; }
  // How many events were sent.
  std::int64_t sent() const { return sent_; }
  // Until no write is under way.
  Task<void> settle();
  // What is left, and only that: call it when pump() has ended.
  std::string take_rest() { return std::move(pending_); }

 private:
  const contract::Validator& validator_;
  const contract::Operation& operation_;
  net::ResponseWriter& response_;
  boost::asio::steady_timer wake_;     // cancelled when there is something to write
  boost::asio::steady_timer drained_;  // cancelled after each write
  std::string data_;                   // these three are kept between events: no allocation per event
  std::string pending_;
  std::string batch_;
  std::int64_t sent_ = 0;
  bool writing_ = false;
  bool discards_ = false;
};

}  // namespace hearth::api
