// The bridge from callbacks and other threads to coroutines.
//
// Nearly every file of the tree awaits something here, so what Asio would instantiate in each of them stands
// in callback.cpp, once.
#pragma once

#include <exception>
#include <expected>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "async/task.hpp"

namespace hearth::async {

template <class T>
using Outcome = std::expected<T, std::exception_ptr>;

namespace detail {

// A suspended coroutine. Destroying it without resume() destroys the coroutine.
class Suspended {
 public:
  virtual ~Suspended() = default;
  // Once, from any thread: the coroutine goes on, on its own executor.
  virtual void resume() = 0;
};

// Decides what becomes of a coroutine that has just been suspended.
class Suspension {
 public:
  virtual void begin(std::unique_ptr<Suspended> suspended) = 0;

 protected:
  ~Suspension() = default;
};

// Suspends the caller until what `suspension` was given is resumed. Not cancellable.
Task<void> suspend(Suspension& suspension);

}  // namespace detail

// Ends one await, once, from any thread. Dropping it without a call would leave the coroutine suspended for
// ever, so the destructor of an uncalled resolver resumes it with std::logic_error.
template <class T>
class Resolver {
 public:
  // `outcome` belongs to the suspended coroutine.
  Resolver(std::unique_ptr<detail::Suspended> suspended, std::optional<Outcome<T>>& outcome)
      : suspended_(std::move(suspended)), outcome_(&outcome) {}
  Resolver(Resolver&&) noexcept = default;
  Resolver& operator=(Resolver&&) noexcept = default;
  ~Resolver() {
    if (suspended_) (*this)(std::unexpected(std::make_exception_ptr(std::logic_error("resolver dropped"))));
  }

  void operator()(Outcome<T> outcome) {
    const auto suspended = std::exchange(suspended_, nullptr);
    outcome_->emplace(std::move(outcome));
    suspended->resume();
  }

 private:
  std::unique_ptr<detail::Suspended> suspended_;
  std::optional<Outcome<T>>* outcome_;
};

namespace detail {

template <class T, class Start>
class StartWithResolver final : public Suspension {
 public:
  StartWithResolver(Start& start, std::optional<Outcome<T>>& outcome) : start_(start), outcome_(outcome) {}
  void begin(std::unique_ptr<Suspended> suspended) override {
    start_(Resolver<T>(std::move(suspended), outcome_));
  }

 private:
  Start& start_;
  std::optional<Outcome<T>>& outcome_;
};

}  // namespace detail

// Calls `start(Resolver<T>)` and suspends until the resolver is called. Resumes on the awaiting coroutine's
// executor. Not cancellable: whoever holds the resolver decides when it ends.
template <class T, class Start>
Task<T> await_callback(Start start) {
  std::optional<Outcome<T>> outcome;
  detail::StartWithResolver<T, Start> suspension(start, outcome);
  co_await detail::suspend(suspension);
  if (!*outcome) std::rethrow_exception(outcome->error());
  if constexpr (!std::is_void_v<T>) co_return std::move(**outcome);
}

}  // namespace hearth::async
