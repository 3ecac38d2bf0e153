#include "jobs/workers.hpp"

namespace hearth::jobs {

void workers::register_in(db::Connection& connection, const Worker& worker) {
  connection.execute(
      "INSERT INTO job_workers (id, beat, lease_time, host, started_at) VALUES ($1, $2, $3, $4, $5)",
      {worker.id, worker.beat, worker.lease_time.count(), worker.host, worker.started_at});
}

bool workers::beat_in(db::Connection& connection, const WorkerId& worker) {
  return connection.execute("UPDATE job_workers SET beat = beat + 1 WHERE id = $1", {worker}) == 1;
}

std::vector<Worker> workers::list_in(db::Connection& connection) {
  std::vector<Worker> all;
  for (const db::Row row :
       connection.query("SELECT id, beat, lease_time, host, started_at FROM job_workers ORDER BY id")) {
    all.push_back({.id = row.get<WorkerId>(0),
                   .beat = row.get<std::int64_t>(1),
                   .lease_time = std::chrono::milliseconds(row.get<std::int64_t>(2)),
                   .host = row.get<std::string>(3),
                   .started_at = row.get<UnixMillis>(4)});
  }
  return all;
}

// The row goes first: a claim that is about to be committed keeps it (its foreign key locks it) until then.
// The key then takes the worker off all its jobs, also those of that claim.
std::optional<std::int64_t> workers::bury_in(db::Connection& connection, const WorkerId& worker,
                                             std::int64_t beat) {
  if (connection.execute("DELETE FROM job_workers WHERE id = $1 AND beat = $2", {worker, beat}) == 0)
    return std::nullopt;
  return connection.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running' AND worker IS NULL");
}

void workers::leave_in(db::Connection& connection, const WorkerId& worker) {
  connection.execute(
      "UPDATE jobs SET state = 'queued', worker = NULL, attempts = attempts - 1 WHERE worker = $1 AND state "
      "= "
      "'running'",
      {worker});
  connection.execute("DELETE FROM job_workers WHERE id = $1", {worker});
  connection.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running' AND worker IS NULL");
}

std::vector<Worker> WorkerWatch::observe(const std::vector<Worker>& workers, SteadyTime began,
                                         SteadyTime ended) {
  std::map<WorkerId, Sight> seen;
  std::vector<Worker> dead;
  for (const Worker& worker : workers) {
    const auto before = seen_.find(worker.id);
    const bool is_same = before != seen_.end() && before->second.beat == worker.beat;
    const Sight sight = is_same ? before->second : Sight{worker.beat, ended};
    if (is_same && began - sight.since >= worker.lease_time) dead.push_back(worker);
    seen.emplace(worker.id, sight);
  }
  seen_ = std::move(seen);
  return dead;
}

}  // namespace hearth::jobs
