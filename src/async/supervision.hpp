// A task that runs beside what may end it early. Private to async/: interruptible.cpp and deadline.cpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>

#include "async/task.hpp"

namespace hearth::async::detail {

inline constexpr auto stop_type = boost::asio::cancellation_type::terminal;

// What a task, its awaiter and its interruption share. All run on one executor. Shared: callbacks that come
// late (a timer that was cancelled) keep it alive, and a signal must not die while it is emitting.
struct Supervision {
  boost::asio::cancellation_signal stop_task;
  boost::asio::cancellation_signal stop_interruption;
  bool task_ended = false;
  bool interrupted = false;   // before the task ended
  bool interrupting = false;  // the interruption runs
  std::move_only_function<void()> interruption_ended;
  std::optional<Task<void>> interruption;  // while it has not begun
};

void interrupt(Supervision& supervision);

// Runs the task, which throws nothing, until it has ended: by itself or stopped. A cancellation of the
// awaiter goes on to the task.
Task<void> supervise(Task<void> task, std::shared_ptr<Supervision> supervision);

}  // namespace hearth::async::detail
