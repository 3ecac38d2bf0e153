// Waiting with an end.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <variant>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>

#include "async/task.hpp"

namespace hearth::async {

struct DeadlineExceeded : std::exception {
  const char* what() const noexcept override { return "deadline exceeded"; }
};

Task<void> sleep_for(std::chrono::steady_clock::duration duration);

// The task's result; when `limit` passes first, the task is cancelled, awaited, and DeadlineExceeded thrown.
template <class T>
Task<T> with_deadline(std::chrono::steady_clock::duration limit, Task<T> task) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto outcome = co_await (std::move(task) || sleep_for(limit));
  if (outcome.index() == 1) throw DeadlineExceeded();
  if constexpr (!std::is_void_v<T>) co_return std::move(std::get<0>(outcome));
}

}  // namespace hearth::async
