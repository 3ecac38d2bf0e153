#include "async/semaphore.hpp"

#include <list>
#include <mutex>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace hearth::async {

struct Semaphore::State {
  struct Waiter {
    Waiter(const Executor& executor, std::size_t n, std::chrono::milliseconds patience)
        : timer(executor, patience), count(n) {}
    boost::asio::steady_timer timer;  // touched on its own executor only
    std::size_t count;
    bool granted = false;  // under mutex
  };

  mutable std::mutex mutex;
  std::size_t capacity = 0;
  std::size_t available = 0;
  std::list<std::shared_ptr<Waiter>> waiters;  // shared with the posted wake-up

  // Caller holds the mutex.
  void grant() {
    while (!waiters.empty() && waiters.front()->count <= available) {
      auto waiter = std::move(waiters.front());
      waiters.pop_front();
      available -= waiter->count;
      waiter->granted = true;
      boost::asio::post(waiter->timer.get_executor(), [waiter] { waiter->timer.cancel(); });
    }
  }

  void release(std::size_t count) {
    std::lock_guard lock(mutex);
    available += count;
    grant();
  }
};

Semaphore::Permit::Permit(Permit&& other) noexcept
    : state_(std::move(other.state_)), count_(std::exchange(other.count_, 0)) {}

Semaphore::Permit& Semaphore::Permit::operator=(Permit&& other) noexcept {
  std::swap(state_, other.state_);
  std::swap(count_, other.count_);
  return *this;
}

Semaphore::Permit::~Permit() {
  if (state_ && count_ > 0) state_->release(count_);
}

void Semaphore::Permit::shrink_to(std::size_t count) {
  if (!state_ || count >= count_) return;
  state_->release(std::exchange(count_, count) - count);
}

void Semaphore::Permit::absorb(Permit other) {
  if (!state_) state_ = other.state_;
  count_ += std::exchange(other.count_, 0);
}

Semaphore::Semaphore(std::size_t capacity) : state_(std::make_shared<State>()) {
  state_->capacity = state_->available = capacity;
}

std::optional<Semaphore::Permit> Semaphore::try_acquire(std::size_t count) {
  std::lock_guard lock(state_->mutex);
  if (!state_->waiters.empty() || state_->available < count) return std::nullopt;
  state_->available -= count;
  return Permit(state_, count);
}

Task<std::optional<Semaphore::Permit>> Semaphore::acquire(std::size_t count,
                                                          std::chrono::milliseconds patience) {
  if (auto permit = try_acquire(count)) co_return permit;
  if (count > state_->capacity) co_return std::nullopt;
  auto state = state_;
  auto waiter = std::make_shared<State::Waiter>(co_await boost::asio::this_coro::executor, count, patience);
  {
    std::lock_guard lock(state->mutex);
    state->waiters.push_back(waiter);
    state->grant();
  }
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  co_await waiter->timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  co_await boost::asio::this_coro::throw_if_cancelled(true);
  std::lock_guard lock(state->mutex);
  if (waiter->granted) co_return Permit(state, count);
  state->waiters.remove(waiter);
  state->grant();  // the one behind may fit now that this one is gone
  co_return std::nullopt;
}

std::size_t Semaphore::available() const {
  std::lock_guard lock(state_->mutex);
  return state_->available;
}

}  // namespace hearth::async
