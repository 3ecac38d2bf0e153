// Waiting with an end.
#pragma once

#include <chrono>
#include <exception>
#include <expected>
#include <type_traits>
#include <utility>
#include <variant>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>

#include "async/callback.hpp"
#include "async/task.hpp"

namespace hearth::async {

struct DeadlineExceeded : std::exception {
  const char* what() const noexcept override { return "deadline exceeded"; }
};

Task<void> sleep_for(std::chrono::steady_clock::duration duration);

namespace detail {

// `||` waits for a success; a task that throws must count as an end too, or its error would come only with
// the timer.
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

}  // namespace detail

// The task's result; when `limit` passes first, the task is cancelled, awaited, and DeadlineExceeded thrown.
template <class T>
Task<T> with_deadline(std::chrono::steady_clock::duration limit, Task<T> task) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto ended = co_await (detail::capture(std::move(task)) || sleep_for(limit));
  if (ended.index() == 1) throw DeadlineExceeded();
  Outcome<T>& outcome = std::get<0>(ended);
  if (!outcome) std::rethrow_exception(outcome.error());
  if constexpr (!std::is_void_v<T>) co_return std::move(*outcome);
}

}  // namespace hearth::async
