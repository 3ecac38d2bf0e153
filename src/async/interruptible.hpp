// Running a task until it ends or something else happens first.
//
// Asio's own `||` costs several allocations and dispatches more, and an exception for the side that loses;
// these run once or twice for every request.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>

#include "async/callback.hpp"
#include "async/task.hpp"

namespace hearth::async {

namespace detail {

constexpr auto stop_type = boost::asio::cancellation_type::terminal;

template <class T>
Task<Outcome<T>> capture(Task<T> task) {
  std::exception_ptr thrown;
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      co_return Outcome<T>();
    } else {
      co_return co_await std::move(task);
    }
  } catch (...) {
    thrown = std::current_exception();
  }
  co_return std::unexpected(thrown);
}

// What a task, its awaiter and its interruption share. All run on one executor. Shared: callbacks that come
// late (a timer that was cancelled) keep it alive, and a signal must not die while it is emitting.
struct Supervision {
  boost::asio::cancellation_signal stop_task;
  boost::asio::cancellation_signal stop_interruption;
  bool task_ended = false;
  bool interrupted = false;   // before the task ended
  bool interrupting = false;  // the interruption runs
  std::move_only_function<void()> interruption_ended;
  std::optional<Task<void>> interruption;  // while it has not begun
};

inline void interrupt(Supervision& supervision) {
  if (supervision.task_ended) return;
  supervision.interrupted = true;
  supervision.stop_task.emit(stop_type);
}

inline bool is_cancelled(const boost::asio::cancellation_state& state) {
  return state.cancelled() != boost::asio::cancellation_type::none;
}

[[noreturn]] inline void throw_cancelled() {
  throw boost::system::system_error(boost::asio::error::operation_aborted);
}

// Runs the task until it has ended, well, badly or stopped. A cancellation of the awaiter goes on to the
// task.
template <class T>
Task<Outcome<T>> supervise(Task<T> task, std::shared_ptr<Supervision> supervision) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  auto slot = state.slot();
  if (slot.is_connected()) {
    slot.assign([supervision](boost::asio::cancellation_type type) {
      const auto kept = supervision;  // the task may end in here, and with it this function object
      kept->stop_task.emit(type);
    });
  }
  Outcome<T> outcome = co_await boost::asio::co_spawn(
      executor, capture(std::move(task)),
      boost::asio::bind_cancellation_slot(supervision->stop_task.slot(), boost::asio::use_awaitable));
  if (slot.is_connected()) slot.clear();
  supervision->task_ended = true;
  co_return outcome;
}

inline void start_interruption(const Executor& executor, const std::shared_ptr<Supervision>& supervision) {
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
inline Task<void> stop_interruption(std::shared_ptr<Supervision> supervision) {
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

}  // namespace detail

template <class T>
using Uninterrupted = std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>>;

// The task's result, or nullopt when `interruption` ended first (well or by an exception): then the task was
// cancelled and awaited. What the task throws is thrown. The loser is cancelled and has ended on return, also
// when the caller is cancelled. With a `head_start` the interruption begins only when the task has had that
// time: a task that is quicker does not pay for it.
template <class T>
Task<Uninterrupted<T>> run_unless(Task<T> task, Task<void> interruption,
                                  std::chrono::steady_clock::duration head_start = {}) {
  if (detail::is_cancelled(co_await boost::asio::this_coro::cancellation_state)) detail::throw_cancelled();
  // From here on a cancellation reaches the two through their signals; it must not end the waiting for them.
  const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  const Executor executor = co_await boost::asio::this_coro::executor;
  auto supervision = std::make_shared<detail::Supervision>();
  supervision->interruption.emplace(std::move(interruption));
  std::optional<boost::asio::steady_timer> timer;
  if (head_start > head_start.zero()) {
    timer.emplace(executor, head_start);
    timer->async_wait([executor, supervision](const boost::system::error_code& error) {
      if (!error && !supervision->task_ended) detail::start_interruption(executor, supervision);
    });
  } else {
    detail::start_interruption(executor, supervision);
  }
  std::optional<Outcome<T>> outcome;
  if (!supervision->interrupted) outcome = co_await detail::supervise(std::move(task), supervision);
  timer.reset();
  supervision->interruption.reset();
  co_await detail::stop_interruption(supervision);
  co_await boost::asio::this_coro::throw_if_cancelled(throws);
  if (supervision->interrupted) co_return std::nullopt;
  if (!*outcome) std::rethrow_exception(outcome->error());
  if constexpr (std::is_void_v<T>) {
    co_return std::monostate{};
  } else {
    co_return std::move(**outcome);
  }
}

}  // namespace hearth::async
