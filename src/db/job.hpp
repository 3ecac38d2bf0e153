// The work that coroutines hand to the database's threads.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "async/callback.hpp"
#include "db/connection.hpp"
#include "db/write_scope.hpp"

namespace hearth::db {

// Run once, then either failed or not, then resolved: only resolve() wakes the caller.
class Job {
 public:
  virtual ~Job() = default;
  virtual void run(Connection& connection) = 0;
  virtual void fail(std::exception_ptr reason) = 0;
  virtual void resolve() = 0;

  const WriteScope& scope() const { return scope_; }
  void set_scope(WriteScope scope) { scope_ = std::move(scope); }

 private:
  WriteScope scope_ = WriteScope::everyone();  // of a write
};

template <class Work>
class WorkJob final : public Job {
 public:
  using Result = std::invoke_result_t<Work&, Connection&>;

  WorkJob(Work work, async::Resolver<Result> done) : work_(std::move(work)), done_(std::move(done)) {}

  void run(Connection& connection) override {
    if constexpr (std::is_void_v<Result>) {
      work_(connection);
      outcome_.emplace();
    } else {
      outcome_.emplace(work_(connection));
    }
  }
  void fail(std::exception_ptr reason) override { outcome_.emplace(std::unexpected(std::move(reason))); }
  void resolve() override { done_(std::move(*outcome_)); }

 private:
  Work work_;
  async::Resolver<Result> done_;
  std::optional<async::Outcome<Result>> outcome_;
};

// Thread: any.
class JobQueue {
 public:
  // Takes `job` over; leaves it where it is when the queue is closed.
  bool push(std::unique_ptr<Job>& job);
  // The next job; null when the queue is closed and empty.
  std::unique_ptr<Job> pop();
  // Null also when none came before `deadline`.
  std::unique_ptr<Job> pop_until(std::chrono::steady_clock::time_point deadline);
  void close();

 private:
  std::unique_ptr<Job> take();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Job>> jobs_;
  bool closed_ = false;
};

}  // namespace hearth::db
