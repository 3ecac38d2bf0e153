#include "async/interruptible.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>

#include "async/supervision.hpp"

namespace hearth::async::detail {
namespace {

void start_interruption(const Executor& executor, const std::shared_ptr<Supervision>& supervision) {
  supervision->interrupting = true;
  auto interruption = std::move(*supervision->interruption);
  supervision->interruption.reset();
  boost::asio::co_spawn(executor, std::move(interruption),
                        boost::asio::bind_cancellation_slot(supervision->stop_interruption.slot(),
                                                            [supervision](const std::exception_ptr&) {
                                                              supervision->interrupting = false;
                                                              if (supervision->interruption_ended)
                                                                return supervision->interruption_ended();
                                                              interrupt(*supervision);
                                                            }));
}

// Stops the interruption and waits for its end.
Task<void> stop_interruption(std::shared_ptr<Supervision> supervision) {
  if (!supervision->interrupting) co_return;
  supervision->stop_interruption.emit(stop_type);
  if (!supervision->interrupting) co_return;
  auto initiate = [&]<class Handler>(Handler&& handler) {
    supervision->interruption_ended = [handler = std::forward<Handler>(handler)]() mutable {
      boost::asio::dispatch(std::move(handler));
    };
  };
  co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
      initiate, boost::asio::use_awaitable);
}

}  // namespace

void throw_cancelled() {
  throw boost::system::system_error(boost::asio::error::operation_aborted);
}

void interrupt(Supervision& supervision) {
  if (supervision.task_ended) return;
  supervision.interrupted = true;
  supervision.stop_task.emit(stop_type);
}

Task<void> supervise(Task<void> task, std::shared_ptr<Supervision> supervision) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  auto slot = state.slot();
  if (slot.is_connected()) {
    slot.assign([supervision](boost::asio::cancellation_type type) {
      const auto kept = supervision;  // the task may end in here, and with it this function object
      kept->stop_task.emit(type);
    });
  }
  co_await boost::asio::co_spawn(
      executor, std::move(task),
      boost::asio::bind_cancellation_slot(supervision->stop_task.slot(), boost::asio::use_awaitable));
  if (slot.is_connected()) slot.clear();
  supervision->task_ended = true;
}

Task<Ended> race(Task<void> task, Task<void> interruption, std::chrono::steady_clock::duration head_start) {
  if (is_cancelled(co_await boost::asio::this_coro::cancellation_state)) throw_cancelled();
  // From here on a cancellation reaches the two through their signals; it must not end the waiting for them.
  const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  const Executor executor = co_await boost::asio::this_coro::executor;
  auto supervision = std::make_shared<Supervision>();
  supervision->interruption.emplace(std::move(interruption));
  std::optional<boost::asio::steady_timer> timer;
  if (head_start > head_start.zero()) {
    timer.emplace(executor, head_start);
    timer->async_wait([executor, supervision](const boost::system::error_code& error) {
      if (!error && !supervision->task_ended) start_interruption(executor, supervision);
    });
  } else {
    start_interruption(executor, supervision);
  }
  if (!supervision->interrupted) co_await supervise(std::move(task), supervision);
  timer.reset();
  supervision->interruption.reset();
  co_await stop_interruption(supervision);
  co_await boost::asio::this_coro::throw_if_cancelled(throws);
  co_return supervision->interrupted ? Ended::interrupted : Ended::by_itself;
}

}  // namespace hearth::async::detail
