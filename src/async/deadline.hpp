// Waiting with an end.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "async/interruptible.hpp"
#include "async/task.hpp"

namespace hearth::async {

struct DeadlineExceeded : std::exception {
  const char* what() const noexcept override { return "deadline exceeded"; }
};

Task<void> sleep_for(std::chrono::steady_clock::duration duration);

// The task's result; when `limit` passes first, the task is cancelled, awaited, and DeadlineExceeded thrown.
// When the caller is cancelled, it is system_error(operation_aborted), whichever of the two ended first.
template <class T>
Task<T> with_deadline(std::chrono::steady_clock::duration limit, Task<T> task) {
  if (detail::is_cancelled(co_await boost::asio::this_coro::cancellation_state)) detail::throw_cancelled();
  auto supervision = std::make_shared<detail::Supervision>();
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, limit);
  timer.async_wait([supervision](const boost::system::error_code& error) {
    if (!error) detail::interrupt(*supervision);
  });
  const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  Outcome<T> outcome = co_await detail::supervise(std::move(task), supervision);
  co_await boost::asio::this_coro::throw_if_cancelled(throws);
  if (supervision->interrupted) {
    if (detail::is_cancelled(co_await boost::asio::this_coro::cancellation_state)) detail::throw_cancelled();
    throw DeadlineExceeded();
  }
  if (!outcome) std::rethrow_exception(outcome.error());
  if constexpr (!std::is_void_v<T>) co_return std::move(*outcome);
}

}  // namespace hearth::async
