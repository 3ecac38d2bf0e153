// The part of ReplySender that streams events.
#include <exception>
#include <optional>
#include <utility>

#include "api/error_reply.hpp"
#include "api/reply_sender.hpp"
#include "api/response_sink.hpp"
#include "async/interruptible.hpp"
#include "base/log.hpp"
#include "contract/gate.hpp"

namespace hearth::api {
namespace {

constexpr std::chrono::milliseconds unwatched_time{50};  // before somebody looks whether the client has left

// The interruption of a stream: the client has left, or takes nothing any more.
Task<void> deliver(ResponseSink& sink, net::ResponseWriter& response) {
  co_await async::run_unless(sink.pump(), response.closed(), unwatched_time);
}

// The producer, then whatever is being written at its end, however it ended: a write must not be cut.
Task<void> produce(contract::EventProducer& producer, ResponseSink& sink) {
  std::exception_ptr thrown;
  try {
    co_await producer(sink);
  } catch (...) {
    thrown = std::current_exception();
  }
  co_await sink.settle();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

Task<void> ReplySender::send_events(Exchange& exchange, contract::Reply reply) const {
  auto& producer = std::get<contract::EventProducer>(reply.body);
  net::ResponseHead head = head_of(exchange, reply, "text/event-stream; charset=utf-8");
  head.headers.add("cache-control", "no-cache");
  exchange.status = head.status;
  co_await exchange.response.begin(std::move(head));
  ResponseSink sink(validator_, *exchange.operation, exchange.response,
                    co_await boost::asio::this_coro::executor);
  std::optional<ApiError> failure;
  try {
    const auto produced =
        co_await async::run_unless(produce(producer, sink), deliver(sink, exchange.response));
    if (!produced) throw net::ConnectionLost("the client left during the stream");
  } catch (const ApiError& error) {
    failure = error;
  } catch (const net::ConnectionLost&) {
    throw;
  } catch (const std::exception& error) {
    log::error("stream failed", {{"request_id", exchange.id.str()}, {"cause", error.what()}});
    failure = ApiError::internal();
  }
  if (failure) {
    // The status is long sent: the error goes into the stream, and no [DONE] follows it.
    exchange.outcome = failure->code().value_or(failure->type());
    const json::value body = render_error(*failure);
    contract::gate::check_error(validator_, exchange.operation, failure->status(), body);
    sink.append("", json::write(body));
  } else if (exchange.operation->stream_end == contract::StreamEnd::done) {
    sink.append("", "[DONE]");
  }
  accounting_.account(exchange);
  co_await exchange.response.end(sink.take_rest());
}

}  // namespace hearth::api
