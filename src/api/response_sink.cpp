#include "api/response_sink.hpp"

#include <boost/asio/as_tuple.hpp>

#include "contract/gate.hpp"
#include "net/sse.hpp"

namespace hearth::api {
namespace {

constexpr auto never = boost::asio::steady_timer::time_point::max();
constexpr std::size_t high_water = 16 * 1024;  // bytes that may wait for a slow client

Task<void> wait_for(boost::asio::steady_timer& signal) {
  signal.expires_at(never);
  co_await signal.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

}  // namespace

ResponseSink::ResponseSink(const contract::Validator& validator, const contract::Operation& operation,
                           net::ResponseWriter& response, const async::Executor& executor)
    : validator_(validator),
      operation_(operation),
      response_(response),
      wake_(executor, never),
      drained_(executor, never) {}

Task<void> ResponseSink::send(std::string_view event, const json::value& data) {
  contract::gate::check_event(validator_, operation_, event, data);
  ++sent_;
  if (discards_) co_return;
  data_.clear();
  json::write_to(data_, data);
  append(event, data_);
  while (pending_.size() >= high_water)
    co_await wait_for(drained_);
}

void ResponseSink::append(std::string_view event, std::string_view data) {
  net::render_sse(pending_, event, data);
  if (!writing_) wake_.cancel();  // takes effect when the producer pauses
}

Task<void> ResponseSink::pump() {
  while (true) {
    if (pending_.empty()) co_await wait_for(wake_);
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) co_return;
    if (pending_.empty()) continue;
    writing_ = true;
    batch_.swap(pending_);
    co_await response_.write(batch_);
    batch_.clear();
    writing_ = false;
    drained_.cancel();
  }
}

void ResponseSink::discard() {
  discards_ = true;
  writing_ = false;  // what was being written is lost with the connection
  pending_.clear();
  drained_.cancel();
}

Task<void> ResponseSink::settle() {
  while (writing_)
    co_await wait_for(drained_);
}

}  // namespace hearth::api
