// What a kind of job is: who does the work, how many at a time, how often again.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "async/task.hpp"
#include "db/database.hpp"
#include "jobs/job.hpp"

namespace hearth::jobs {

// Where to go on, and how far the job is.
struct Saved {
  json::value cursor;
  Progress progress;
};

// A job while it runs, as its handler sees it. Lives as long as the handler's run.
//
// A handler is cancelled (its await ends with operation_aborted) when the job is to end, when the process
// stops and when the lease is lost. It may run again from its cursor in any of these cases, here or
// elsewhere.
class Execution {
 public:
  Execution(Job job, db::Database& database) : job_(std::move(job)), database_(database) {}

  // With the cursor and the progress as last saved.
  const Job& job() const { return job_; }

  // Keeps where to go on. Throws LeaseLost, CancelRequested and ApiError 503.
  Task<void> save(Saved saved);
  // Does `step` and keeps what it returns, in one transaction under the lease: after a crash the step has
  // happened and the cursor is beyond it, or neither. Throws as save(), and what `step` throws.
  using Step = std::function<Saved(db::Connection&)>;
  Task<void> save_after(Step step);
  // Only `effect`, in a transaction under the lease. Throws as save().
  Task<void> write(Effect effect);

  // A line of the log that names the job, its kind and the request that made it.
  void note(std::string_view event, std::string_view detail) const;

 private:
  Job job_;
  db::Database& database_;
};

// Does the jobs of a kind. Thread: the runner's executor, several runs at a time up to the kind's
// concurrency. It owns no state of a job but the cursor: everything else may be gone at any await.
class Handler {
 public:
  virtual ~Handler() = default;

  // What it returns happens in the transaction that ends the job, under its lease: once, whatever happens. An
  // exception ends the attempt: PermanentFailure, and an ApiError that says that the request itself is at
  // fault, end the job; any other is tried again after a pause.
  virtual Task<Effect> run(Execution& execution) = 0;

  // The job ends without success: its state is failed, with the reason in `error`, or cancelled. What an
  // aggregate shows of its job is changed here, in the transaction that ends the job. Thread: the database's.
  virtual void ended_in(db::Connection&, const Job&) {}
};

struct Kind {
  std::string name;
  std::reference_wrapper<Handler> handler;
  std::size_t concurrency = 1;  // in one process
  int priority = 0;             // of its jobs among the kinds, where places are short; higher first
  RetryPolicy retry;
  // Set: there is always one job of this kind in the database, whoever runs it, and it runs that often. It
  // never ends: a cancelled or failed run is followed by the next.
  std::optional<std::chrono::milliseconds> every;
};

}  // namespace hearth::jobs
