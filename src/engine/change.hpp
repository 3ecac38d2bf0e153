// "Something has changed, look again": wakes every coroutine that waits, on whatever executor it runs.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

#include "async/task.hpp"
#include "base/clock.hpp"

namespace hearth::engine {

// Used as: read generation() while looking at the state (under its own mutex), then wait() with it; a change
// in between is not missed. Thread: any.
class Change {
 public:
  std::uint64_t generation() const;
  // Until a change after `seen`, or until `limit`. Cancellable.
  Task<void> wait(std::uint64_t seen, SteadyTime limit);
  void announce();

 private:
  struct Waiter;
  mutable std::mutex mutex_;
  std::uint64_t generation_ = 0;
  std::list<std::shared_ptr<Waiter>> waiters_;  // shared with the posted wake-up
};

}  // namespace hearth::engine
