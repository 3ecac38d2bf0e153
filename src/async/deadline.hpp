// Waiting with an end.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "async/interruptible.hpp"
#include "async/task.hpp"

namespace hearth::async {

struct DeadlineExceeded : std::exception {
  const char* what() const noexcept override { return "deadline exceeded"; }
};

Task<void> sleep_for(std::chrono::steady_clock::duration duration);

namespace detail {
// See with_deadline(). `task` throws nothing.
Task<void> run_within(std::chrono::steady_clock::duration limit, Task<void> task);
}  // namespace detail

// The task's result; when `limit` passes first, the task is cancelled, awaited, and DeadlineExceeded thrown.
// When the caller is cancelled, it is system_error(operation_aborted), whichever of the two ended first.
template <class T>
Task<T> with_deadline(std::chrono::steady_clock::duration limit, Task<T> task) {
  std::optional<Outcome<T>> outcome;
  co_await detail::run_within(limit, detail::run_into(std::move(task), outcome));
  if (!*outcome) std::rethrow_exception(outcome->error());
  if constexpr (!std::is_void_v<T>) co_return std::move(**outcome);
}

}  // namespace hearth::async
