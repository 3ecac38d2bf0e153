// Running a task until it ends or something else happens first.
//
// Asio's own `||` costs several allocations and dispatches more, and an exception for the side that loses;
// these run once or twice for every request.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <boost/asio/cancellation_state.hpp>

#include "async/callback.hpp"
#include "async/task.hpp"

namespace hearth::async {

namespace detail {

// The task without a result and without exceptions: both go to `outcome`, which outlives it.
template <class T>
Task<void> run_into(Task<T> task, std::optional<Outcome<T>>& outcome) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      outcome.emplace();
    } else {
      outcome.emplace(co_await std::move(task));
    }
  } catch (...) {
    outcome.emplace(std::unexpected(std::current_exception()));
  }
}

inline bool is_cancelled(const boost::asio::cancellation_state& state) {
  return state.cancelled() != boost::asio::cancellation_type::none;
}

[[noreturn]] void throw_cancelled();

enum class Ended { by_itself, interrupted };

// See run_unless(). `task` throws nothing.
Task<Ended> race(Task<void> task, Task<void> interruption, std::chrono::steady_clock::duration head_start);

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
  std::optional<Outcome<T>> outcome;
  const detail::Ended ended =
      co_await detail::race(detail::run_into(std::move(task), outcome), std::move(interruption), head_start);
  if (ended == detail::Ended::interrupted) co_return std::nullopt;
  if (!*outcome) std::rethrow_exception(outcome->error());
  if constexpr (std::is_void_v<T>) {
    co_return std::monostate{};
  } else {
    co_return std::move(**outcome);
  }
}

}  // namespace hearth::async
