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
template <class T>
Task<T> with_deadline(std::chrono::steady_clock::duration limit, Task<T> task) {
  auto outcome = co_await run_unless(std::move(task), sleep_for(limit));
  if (!outcome) throw DeadlineExceeded();
  if constexpr (!std::is_void_v<T>) co_return std::move(*outcome);
}

}  // namespace hearth::async
