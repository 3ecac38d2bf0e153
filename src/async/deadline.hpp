// Waiting with an end.
#pragma once

#include <chrono>
#include <exception>
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
  auto outcome = co_await run_unless(std::move(task), sleep_for(limit));
  if (!outcome) {
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none)
      throw boost::system::system_error(boost::asio::error::operation_aborted);
    throw DeadlineExceeded();
  }
  if constexpr (!std::is_void_v<T>) co_return std::move(*outcome);
}

}  // namespace hearth::async
