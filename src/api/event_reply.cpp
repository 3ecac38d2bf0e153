// The part of ReplySender that streams events.
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "api/error_reply.hpp"
#include "api/reply_sender.hpp"
#include "api/response_sink.hpp"
#include "async/interruptible.hpp"
#include "base/log.hpp"
#include "contract/gate.hpp"
#include "contract/stream_error.hpp"

namespace hearth::api {
namespace {

constexpr std::chrono::milliseconds unwatched_time{50};  // before somebody looks whether the client has left

// The interruption of a stream: the client has left, or takes nothing any more.
Task<void> deliver(ResponseSink& sink, net::ResponseWriter& response) {
  co_await async::run_unless(sink.pump(), response.closed(), unwatched_time);
}

// The same for work that goes on without its client. It ends when it is cancelled only.
Task<void> deliver_or_discard(ResponseSink& sink, net::ResponseWriter& response) {
  try {
    co_await deliver(sink, response);
  } catch (const net::ConnectionLost&) {  // seen below
  }
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  if (state.cancelled() != boost::asio::cancellation_type::none) co_return;
  sink.discard();
  boost::asio::steady_timer end(co_await boost::asio::this_coro::executor,
                                boost::asio::steady_timer::time_point::max());
  co_await end.async_wait(boost::asio::use_awaitable);
}

Task<void> watch(ResponseSink& sink, net::ResponseWriter& response, contract::Cancel cancel) {
  return cancel == contract::Cancel::never ? deliver_or_discard(sink, response) : deliver(sink, response);
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
    const auto produced = co_await async::run_unless(
        produce(producer, sink), watch(sink, exchange.response, exchange.operation->cancel));
    if (!produced || sink.discards()) throw net::ConnectionLost("the client left during the stream");
  } catch (const ApiError& error) {
    failure = error;
  } catch (const net::ConnectionLost&) {
    throw;
  } catch (const std::exception& error) {
    log::error("stream failed", {{"request_id", exchange.id.str()}, {"cause", error.what()}});
    failure = ApiError::internal();
  }
  if (failure) {
    if (sink.discards()) throw net::ConnectionLost("the client left during the stream");
    // The status is long sent: the error goes into the stream, and no end follows it.
    exchange.outcome = failure->code().value_or(failure->type());
    const json::value body = render_error(*failure);
    contract::gate::check_error(validator_, exchange.operation, failure->status(), body);
    const auto [event, data] = contract::stream_error(validator_, *exchange.operation, body, sink.sent());
    contract::gate::check_error_event(validator_, *exchange.operation, event, data);
    sink.append(event, json::write(data));
  } else if (exchange.operation->stream_end != contract::StreamEnd::none) {
    const bool named = exchange.operation->stream_end == contract::StreamEnd::done_event;
    sink.append(named ? "done" : "", "[DONE]");
  }
  exchange.end_metered();
  co_await exchange.response.end(sink.take_rest());
}

}  // namespace hearth::api
