// Which processes hold jobs, and how one learns that another is gone.
//
// Nobody compares clocks. A worker counts a number up (its beat) in time; whoever else sees the same number
// for a whole lease, by the observer's own steady clock, takes the worker for dead and buries it: its row
// goes, and its jobs are queued again. A worker for its part believes in its leases for nine tenths of that
// time after the beginning of its last beat: since an observer sees a beat only after it began, nobody has
// taken the jobs while it believes, as long as clocks run about equally fast. What a worker does that
// believes too long is stopped by the leases' numbers.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "db/connection.hpp"
#include "jobs/job.hpp"

namespace hearth::jobs {

struct Worker {
  WorkerId id;
  std::int64_t beat = 0;
  std::chrono::milliseconds lease_time{0};
  std::string host;
  UnixMillis started_at = 0;
};

// Statements, in a transaction of the caller's. Thread: the database's.
namespace workers {

void register_in(db::Connection& connection, const Worker& worker);
// False: the worker was buried, and its jobs are others'.
bool beat_in(db::Connection& connection, const WorkerId& worker);
std::vector<Worker> list_in(db::Connection& connection);
// nullopt: it has beaten since, or somebody else was faster. Otherwise how many jobs are queued again; the
// attempt counts, since it may be the job that ends its workers.
std::optional<std::int64_t> bury_in(db::Connection& connection, const WorkerId& worker, std::int64_t beat);
// The worker ends in order: what it still holds goes back, and the attempts do not count.
void leave_in(db::Connection& connection, const WorkerId& worker);

}  // namespace workers

// What one process has seen of the others. Thread: one.
class WorkerWatch {
 public:
  // `workers`: what a read found that ran between the two times. Those to bury.
  std::vector<Worker> observe(const std::vector<Worker>& workers, SteadyTime began, SteadyTime ended);

 private:
  struct Sight {
    std::int64_t beat = 0;
    SteadyTime since;  // the end of the first read that saw this beat
  };
  std::map<WorkerId, Sight> seen_;
};

// Whether this process may still believe in what it holds. Thread: one.
class Belief {
 public:
  explicit Belief(std::chrono::milliseconds lease_time) : lease_time_(lease_time) {}
  // A beat that began then was committed.
  void confirm(SteadyTime began) { confirmed_ = began; }
  bool holds(SteadyTime now) const { return now - confirmed_ < lease_time_ * 9 / 10; }

 private:
  std::chrono::milliseconds lease_time_;
  SteadyTime confirmed_;
};

}  // namespace hearth::jobs
