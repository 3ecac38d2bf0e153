#include "async/deadline.hpp"

#include <boost/asio/steady_timer.hpp>

#include "async/supervision.hpp"

namespace hearth::async {

Task<void> sleep_for(std::chrono::steady_clock::duration duration) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, duration);
  co_await timer.async_wait(boost::asio::use_awaitable);
}

Task<void> detail::run_within(std::chrono::steady_clock::duration limit, Task<void> task) {
  if (is_cancelled(co_await boost::asio::this_coro::cancellation_state)) throw_cancelled();
  auto supervision = std::make_shared<Supervision>();
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, limit);
  timer.async_wait([supervision](const boost::system::error_code& error) {
    if (!error) interrupt(*supervision);
  });
  const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  co_await supervise(std::move(task), supervision);
  co_await boost::asio::this_coro::throw_if_cancelled(throws);
  if (!supervision->interrupted) co_return;
  if (is_cancelled(co_await boost::asio::this_coro::cancellation_state)) throw_cancelled();
  throw DeadlineExceeded();
}

}  // namespace hearth::async
