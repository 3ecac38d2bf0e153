// Running a task until it ends or something else happens first.
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "async/callback.hpp"
#include "async/task.hpp"

namespace hearth::async {

// Asio's `||` waits for a success; here a task that throws has ended too, and its error comes at once.
namespace detail {

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

template <class T>
using Uninterrupted = std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>>;

// The task's result, or nullopt when `interruption` ended first (well or by an exception): then the task was
// cancelled and awaited. What the task throws is thrown.
template <class T>
Task<Uninterrupted<T>> run_unless(Task<T> task, Task<void> interruption) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto ended = co_await (detail::capture(std::move(task)) || detail::capture(std::move(interruption)));
  if (ended.index() == 1) co_return std::nullopt;
  Outcome<T>& outcome = std::get<0>(ended);
  if (!outcome) std::rethrow_exception(outcome.error());
  if constexpr (std::is_void_v<T>) {
    co_return std::monostate{};
  } else {
    co_return std::move(*outcome);
  }
}

}  // namespace hearth::async
