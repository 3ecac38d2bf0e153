// One child of any kind, from its launch to its end: started, watched until it computes, stopped.
//
// Memory, restarts and idle time concern all engines together: Engines decides on them.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/types.h>

#include "async/blocking_pool.hpp"
#include "async/task.hpp"
#include "base/clock.hpp"
#include "engine/change.hpp"
#include "engine/process/child_adapter.hpp"
#include "engine/process/child_process.hpp"

namespace hearth::engine {

// Removes the sockets that servers which are gone have left in `directory`.
void remove_stale_sockets(const std::string& directory);
// A socket of ours that no other launch has. Throws std::runtime_error when the path is too long for one.
std::string socket_path_of(const std::string& directory, std::uint64_t launch_number);
// "Qwen/Qwen3 8B" → "Qwen_Qwen3_8B": safe in a file name, and short.
std::string file_name_of(const std::string& model);

// Shared by the leases on it: it stays, though dead, when its process has crashed. Thread: any.
class LocalEngine {
 public:
  // What the launch ended with, in words for the log; `slow` when the time was up.
  struct Failed : std::runtime_error {
    enum class How { ended, slow, unwanted };
    Failed(How h, const std::string& cause) : std::runtime_error(cause), how(h) {}
    How how;
  };

  // `adapter` lives in the model's spec and outlives this; `changed` is announced when the child ends.
  LocalEngine(const ChildAdapter& adapter, LaunchOrder order, const LaunchPlan& plan, Change& changed);
  ~LocalEngine();
  LocalEngine(const LocalEngine&) = delete;

  // Starts the program. `ended` is called once when it has ended, whatever the cause, on the host's thread;
  // it must not block. Throws std::runtime_error.
  static Task<void> launch(std::shared_ptr<LocalEngine> engine, ChildSpec child, ChildHost& host,
                           async::BlockingPool& blocking, std::function<void()> ended);
  // Until it has computed something real. Throws Failed, and what the probe throws; `is_wanted` is asked now
  // and then.
  Task<void> wait_until_ready(SteadyTime limit, std::function<bool()> is_wanted);
  // TERM, then KILL, each with the patience that `limit_of(begin)` gives: it is asked again after each
  // change, because the patience may end meanwhile. False when the process is still there.
  Task<bool> stop(std::function<SteadyTime(SteadyTime)> limit_of);

  // Kills it when it has outgrown its bound; then returns the memory that it had. Blocks on /proc for a
  // moment.
  std::optional<std::uint64_t> end_when_outgrown();

  Backend& backend() { return *backend_; }  // after wait_until_ready()
  // How it ended; nullopt while it runs.
  std::optional<ChildExit> exit() const;
  pid_t pid() const { return child_->pid(); }
  std::string last_lines() const { return child_->last_lines(); }

 private:
  void check_alive() const;

  const ChildAdapter& adapter_;
  const LaunchOrder order_;
  const std::set<Capability> capabilities_;
  const std::uint64_t memory_most_;
  Change& changed_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ChildProcess> child_;
  mutable std::mutex mutex_;
  std::optional<ChildExit> exit_;  // under the mutex
};

}  // namespace hearth::engine
