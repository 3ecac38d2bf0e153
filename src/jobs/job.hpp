// A job: work that outlives the request that asked for it, as a row of the store.
//
// A job runs at least once and takes effect exactly once: what a handler wants to have changed is committed
// in the transaction that ends the job, and only under its lease.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/connection.hpp"
#include "json/json.hpp"

namespace hearth::jobs {

using JobId = Id<struct JobTag>;
using WorkerId = Id<struct WorkerTag>;
using UnixMillis = std::int64_t;  // since the epoch

UnixMillis unix_millis(const Clock& clock);

// The states after `running` are final, but for a person's `restart`.
enum class JobState { queued, running, succeeded, failed, cancelled };
std::string_view state_name(JobState state);
// nullopt for any other word.
std::optional<JobState> parse_state(std::string_view name);

// How far a job is. `total` 0: nobody knows.
struct Progress {
  std::int64_t done = 0;
  std::int64_t total = 0;
  std::string text;  // for people, or JSON for a program
  bool operator==(const Progress&) const = default;
};

// A request for a job.
struct NewJob {
  std::string kind;
  json::value input = json::object();
  std::optional<OrganizationId> organization;  // whose work it is; none: the server's own
  std::optional<ProjectId> project;
  std::optional<RequestId> request;       // the request that asked for it; every log line of the job names it
  std::optional<std::string> unique_key;  // at most one job that has not ended bears it
  int priority = 0;                       // within its kind, higher first
  int max_attempts = 5;                   // an attempt that a shutdown cuts short does not count
  std::chrono::milliseconds delay{0};     // before it may run
};

struct Job {
  JobId id;
  std::optional<OrganizationId> organization;
  std::optional<ProjectId> project;
  std::optional<RequestId> request;
  std::string kind;
  std::optional<std::string> unique_key;
  json::value input;
  int priority = 0;
  JobState state = JobState::queued;
  UnixMillis run_at = 0;
  int attempts = 0;  // begun
  int max_attempts = 0;
  std::int64_t lease = 0;  // how often it was claimed
  std::optional<WorkerId> worker;
  bool cancel_requested = false;
  std::optional<json::value> cursor;  // where to go on, as the handler saved it
  Progress progress;
  std::optional<std::string> error;  // of the last attempt that failed
  UnixMillis created_at = 0;
  std::optional<UnixMillis> started_at;  // of the last attempt
  std::optional<UnixMillis> ended_at;
};

// The right to change a running job. Every claim makes a new one, so that whoever held the one before can
// change nothing any more, whatever it believes: the number is checked by each statement (a fencing token).
struct Lease {
  JobId job;
  std::int64_t number = 0;
  bool operator==(const Lease&) const = default;
};
inline Lease lease_of(const Job& job) {
  return {job.id, job.lease};
}

// What else happens in a transaction. It may run more than once, of which one is committed at the most.
// Thread: the database's.
using Effect = std::function<void(db::Connection&)>;

// Another worker has the job, or it has ended: nothing was changed.
struct LeaseLost : std::exception {
  const char* what() const noexcept override { return "the lease of the job is lost"; }
};

// Somebody wants the job to end: nothing was changed. A handler lets it pass.
struct CancelRequested : std::exception {
  const char* what() const noexcept override { return "the job is to be cancelled"; }
};

// A handler throws it when repetition cannot help: the job fails at once.
class PermanentFailure : public std::exception {
 public:
  explicit PermanentFailure(std::string reason) : reason_(std::move(reason)) {}
  const char* what() const noexcept override { return reason_.c_str(); }

 private:
  std::string reason_;
};

// How long to wait after an attempt that failed: longer each time, and not the same for all jobs, so that
// what failed together does not come back together.
struct RetryPolicy {
  std::chrono::milliseconds first{1'000};
  std::chrono::milliseconds longest{300'000};

  // `attempt` counts from 1.
  std::chrono::milliseconds pause(const JobId& job, int attempt) const;
};

}  // namespace hearth::jobs
