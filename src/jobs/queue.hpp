// The queue's statements: each is one step of a job's life, in a transaction of the caller's.
//
// They are right under concurrency on both engines without any lock but the row's: a claim is an UPDATE that
// names the state it expects, so of two that claim the same job one changes no row; every later step names
// the lease. What is known of a process that died is in workers.hpp.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/connection.hpp"
#include "db/write_scope.hpp"
#include "jobs/job.hpp"

namespace hearth::jobs {

// What became of a wish to cancel.
enum class CancelOutcome { requested, already_ended, unknown_job };
enum class RestartOutcome { queued, not_ended, unknown_job };

// For lists.
struct JobFilter {
  std::optional<std::string> kind;
  std::optional<JobState> state;
  std::size_t limit = 100;
};

// What a worker looks at before it claims anything: one read.
struct Outlook {
  struct Held {
    Lease lease;
    bool cancel_requested = false;
  };
  std::vector<std::string> due;    // kinds with a job that may run now
  std::optional<UnixMillis> next;  // when the next job of the other kinds may
  bool has_cancelled = false;      // a queued job is to be cancelled
  std::vector<Held> held;          // what the database says that this worker runs
};

// The jobs of one kind, for /metrics.
struct KindStatistics {
  std::string kind;
  std::int64_t waiting = 0;  // may run now
  std::int64_t scheduled = 0;
  std::int64_t running = 0;
  UnixMillis oldest = 0;  // since when the oldest of those that wait may run; 0: none waits
};

// The rows of jobs and of workers; a write that changes one that is there has this scope. A caller that
// only enqueues needs no more than the scope of what it writes in the same transaction.
inline db::WriteScope queue_scope() {
  return db::WriteScope::named("jobs");
}
// What is written under the job's lease: the queue's rows and those of its organization. A job of the
// server's own may write anything, and holds up everybody while it does.
inline db::WriteScope scope_of(const Job& job) {
  if (!job.organization) return db::WriteScope::everyone();
  db::WriteScope scope = queue_scope();
  return scope |= *job.organization;
}

// Thread: any; the methods on the database's.
class Queue {
 public:
  Queue(const Clock& clock, IdSource& ids) : clock_(clock), ids_(ids) {}

  // nullopt: a job with that unique_key has not ended yet.
  std::optional<JobId> enqueue_in(db::Connection& connection, const NewJob& job);
  // The same, claimed by `worker` already: work whose client waits runs where the client is. `id`: from
  // make_id.
  Job enqueue_claimed_in(db::Connection& connection, const NewJob& job, const JobId& id,
                         const WorkerId& worker);
  JobId make_id() { return JobId(ids_.make("job_")); }

  // Up to `limit` jobs of the kind whose time has come, by priority, then time. They are running now, each
  // under a new lease. Throws db::Error(constraint) when the worker has been buried.
  std::vector<Job> claim_in(db::Connection& connection, const WorkerId& worker, const std::string& kind,
                            std::size_t limit);
  // The same for queued jobs of any kind that are to be cancelled, whatever their time.
  std::vector<Job> claim_cancelled_in(db::Connection& connection, const WorkerId& worker, std::size_t limit);
  Outlook look_in(db::Connection& connection, const std::vector<std::string>& kinds,
                  const std::optional<WorkerId>& worker);

  // ---- under the lease. All throw LeaseLost; those that go on or end well throw CancelRequested too.

  // Takes the row until the commit: what is written beside it is written under the lease.
  static void hold_in(db::Connection& connection, const Lease& lease);
  static void save_in(db::Connection& connection, const Lease& lease,
                      const std::optional<json::value>& cursor, const Progress& progress);
  void succeed_in(db::Connection& connection, const Lease& lease);
  void fail_in(db::Connection& connection, const Lease& lease, std::string_view error);
  // Another attempt after `pause`, from the cursor that was saved.
  void retry_in(db::Connection& connection, const Lease& lease, std::string_view error,
                std::chrono::milliseconds pause);
  // Ends a job that is to be cancelled.
  void end_cancelled_in(db::Connection& connection, const Lease& lease);
  // Gives the job back as if this attempt had not begun: others go on with it at once.
  void release_in(db::Connection& connection, const Lease& lease);
  // The end of one run of a periodic job: the row waits for the next, with no memory but the error's.
  void rearm_in(db::Connection& connection, const Lease& lease, std::chrono::milliseconds pause,
                const std::optional<std::string>& error);

  // ---- from outside

  // From here on the job ends as cancelled, whatever its handler does: a queued one by the next worker that
  // looks, a running one within a second.
  CancelOutcome cancel_in(db::Connection& connection, const JobId& job);
  // A failed or cancelled job gets all its attempts anew and goes on from its cursor.
  RestartOutcome restart_in(db::Connection& connection, const JobId& job);
  std::optional<Job> find_in(db::Connection& connection, const JobId& job);
  // The newest first.
  std::vector<Job> list_in(db::Connection& connection, const JobFilter& filter);
  std::vector<KindStatistics> statistics_in(db::Connection& connection);
  // Up to `limit` jobs that ended before `before` are forgotten; how many they were.
  static std::int64_t remove_ended_in(db::Connection& connection, UnixMillis before, std::size_t limit);

 private:
  UnixMillis now() const { return unix_millis(clock_); }
  std::int64_t insert_in(db::Connection& connection, const NewJob& job, const JobId& id,
                         const std::optional<WorkerId>& worker);

  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::jobs
