#include "engine/change.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace hearth::engine {

struct Change::Waiter {
  Waiter(const async::Executor& executor, SteadyTime limit) : timer(executor, limit) {}
  boost::asio::steady_timer timer;  // touched on its own executor only
};

std::uint64_t Change::generation() const {
  std::lock_guard lock(mutex_);
  return generation_;
}

Task<void> Change::wait(std::uint64_t seen, SteadyTime limit) {
  auto waiter = std::make_shared<Waiter>(co_await boost::asio::this_coro::executor, limit);
  {
    std::lock_guard lock(mutex_);
    if (generation_ != seen) co_return;
    waiters_.push_back(waiter);
  }
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  co_await waiter->timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  co_await boost::asio::this_coro::throw_if_cancelled(true);
  {
    std::lock_guard lock(mutex_);
    waiters_.remove(waiter);
  }
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  if (state.cancelled() != boost::asio::cancellation_type::none)
    throw boost::system::system_error(boost::asio::error::operation_aborted);
}

void Change::announce() {
  std::lock_guard lock(mutex_);
  ++generation_;
  for (auto& waiter : waiters_)
    boost::asio::post(waiter->timer.get_executor(), [waiter] { waiter->timer.cancel(); });
  waiters_.clear();
}

}  // namespace hearth::engine
