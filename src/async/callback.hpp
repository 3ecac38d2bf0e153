// The bridge from callbacks and other threads to coroutines.
#pragma once

#include <exception>
#include <expected>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "async/task.hpp"

namespace hearth::async {

template <class T>
using Outcome = std::expected<T, std::exception_ptr>;

// Ends one await, once, from any thread. Dropping it without a call would leave the coroutine suspended for
// ever, so the destructor of an uncalled resolver resumes it with std::logic_error.
template <class T>
class Resolver {
 public:
  class Waiter {
   public:
    virtual ~Waiter() = default;
    virtual void resume(Outcome<T> outcome) = 0;
  };

  explicit Resolver(std::unique_ptr<Waiter> waiter) : waiter_(std::move(waiter)) {}
  Resolver(Resolver&&) noexcept = default;
  Resolver& operator=(Resolver&&) noexcept = default;
  ~Resolver() {
    if (waiter_) (*this)(std::unexpected(std::make_exception_ptr(std::logic_error("resolver dropped"))));
  }

  void operator()(Outcome<T> outcome) { std::exchange(waiter_, nullptr)->resume(std::move(outcome)); }

 private:
  std::unique_ptr<Waiter> waiter_;
};

namespace detail {

template <class T, class Handler>
class HandlerWaiter final : public Resolver<T>::Waiter {
 public:
  explicit HandlerWaiter(Handler handler)
      : handler_(std::move(handler)), work_(boost::asio::make_work_guard(handler_)) {}

  void resume(Outcome<T> outcome) override {
    auto executor = work_.get_executor();
    boost::asio::post(executor, [handler = std::move(handler_), outcome = std::move(outcome)]() mutable {
      std::move(handler)(std::exception_ptr(), std::move(outcome));
    });
  }

 private:
  Handler handler_;
  boost::asio::executor_work_guard<boost::asio::associated_executor_t<Handler>> work_;
};

}  // namespace detail

// Calls `start(Resolver<T>)` and suspends until the resolver is called. Resumes on the awaiting coroutine's
// executor. Not cancellable: whoever holds the resolver decides when it ends.
template <class T, class Start>
Task<T> await_callback(Start start) {
  auto initiate = [start = std::move(start)]<class Handler>(Handler&& handler) mutable {
    using Waiter = detail::HandlerWaiter<T, std::decay_t<Handler>>;
    start(Resolver<T>(std::make_unique<Waiter>(std::forward<Handler>(handler))));
  };
  Outcome<T> outcome = co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>,
                                                            void(std::exception_ptr, Outcome<T>)>(
      std::move(initiate), boost::asio::use_awaitable);
  if (!outcome) std::rethrow_exception(outcome.error());
  if constexpr (!std::is_void_v<T>) co_return std::move(*outcome);
}

}  // namespace hearth::async
