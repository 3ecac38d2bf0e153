// Structured concurrency: a Scope owns the coroutines it started, cancels them and waits for them.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include "async/task.hpp"

namespace hearth::async {

// Thread: all calls on the executor it was made with. join() must have returned before it is destroyed, or
// nothing may have been spawned. A child that throws (other than by cancellation) is logged under its name
// and ended; the others go on.
class Scope {
 public:
  explicit Scope(Executor executor);
  ~Scope();
  Scope(const Scope&) = delete;

  void spawn(std::string_view name, Task<void> child);
  // Asks every child to stop: its current await ends with operation_aborted.
  void cancel();
  // Until the last child has ended. Does not cancel.
  Task<void> join();
  std::size_t size() const;
  const Executor& executor() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the completion handlers of the children
};

}  // namespace hearth::async
