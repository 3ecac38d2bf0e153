#include "jobs/queue.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"

namespace hearth::jobs {
namespace {

constexpr std::size_t longest_error = 2'000;

// As parse_job reads them.
constexpr std::string_view columns =
    "id, organization_id, project_id, request_id, kind, unique_key, input, priority, state, run_at, "
    "attempts, "
    "max_attempts, lease, worker, cancel_requested, cursor, done, total, progress, error, created_at, "
    "started_at, ended_at";

// Under the lease; and while nobody wants the job to end.
constexpr std::string_view ours = "id = $1 AND lease = $2 AND state = 'running'";
constexpr std::string_view ours_to_go_on =
    "id = $1 AND lease = $2 AND state = 'running' AND cancel_requested = 0";

// The store's JSON is ours: what cannot be read is a fault of the store.
json::value read_json(std::string_view text) {
  auto parsed = json::parse(text);
  if (!parsed)
    throw db::Error(db::ErrorKind::statement, "a job's JSON cannot be read: " + parsed.error().message);
  return std::move(*parsed);
}

Job parse_job(const db::Row& row) {
  const auto cursor = row.get<std::optional<std::string_view>>(15);
  return {.id = row.get<JobId>(0),
          .organization = row.get<std::optional<OrganizationId>>(1),
          .project = row.get<std::optional<ProjectId>>(2),
          .request = row.get<std::optional<RequestId>>(3),
          .kind = row.get<std::string>(4),
          .unique_key = row.get<std::optional<std::string>>(5),
          .input = read_json(row.get<std::string_view>(6)),
          .priority = row.get<int>(7),
          .state = parse_state(row.get<std::string_view>(8)).value(),
          .run_at = row.get<UnixMillis>(9),
          .attempts = row.get<int>(10),
          .max_attempts = row.get<int>(11),
          .lease = row.get<std::int64_t>(12),
          .worker = row.get<std::optional<WorkerId>>(13),
          .cancel_requested = row.get<bool>(14),
          .cursor = cursor ? std::optional(read_json(*cursor)) : std::nullopt,
          .progress = {row.get<std::int64_t>(16), row.get<std::int64_t>(17), row.get<std::string>(18)},
          .error = row.get<std::optional<std::string>>(19),
          .created_at = row.get<UnixMillis>(20),
          .started_at = row.get<std::optional<UnixMillis>>(21),
          .ended_at = row.get<std::optional<UnixMillis>>(22)};
}

std::vector<Job> parse_jobs(const db::Rows& rows) {
  std::vector<Job> jobs;
  for (const db::Row row : rows)
    jobs.push_back(parse_job(row));
  return jobs;
}

// What RETURNING gives has no order.
std::vector<Job> in_order(std::vector<Job> jobs) {
  std::ranges::sort(jobs, [](const Job& left, const Job& right) {
    return std::tuple(-left.priority, left.run_at, left.id) <
           std::tuple(-right.priority, right.run_at, right.id);
  });
  return jobs;
}

// A step that `ours_to_go_on` guards has changed so many rows. When none, the row says why.
void check_step(db::Connection& connection, const Lease& lease, std::int64_t changed) {
  if (changed == 1) return;
  const db::Rows rows = connection.query(fmt::format("SELECT cancel_requested FROM jobs WHERE {}", ours),
                                         {lease.job, lease.number});
  if (!rows.empty() && rows[0].get<bool>(0)) throw CancelRequested();
  throw LeaseLost();
}

std::string_view bounded(std::string_view error) {
  return text::truncate_utf8(error, longest_error);
}

}  // namespace

std::int64_t Queue::insert_in(db::Connection& connection, const NewJob& job, const JobId& id,
                              const std::optional<WorkerId>& worker) {
  const UnixMillis at = now();
  const std::optional<UnixMillis> started = worker ? std::optional(at) : std::nullopt;
  const int claims = worker ? 1 : 0;
  return connection.execute(
      "INSERT INTO jobs (id, organization_id, project_id, request_id, kind, unique_key, input, priority, "
      "state, "
      "run_at, attempts, max_attempts, lease, worker, cancel_requested, done, total, progress, created_at, "
      "started_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11, $13, 0, 0, 0, '', $14, "
      "$15) "
      "ON CONFLICT (unique_key) DO NOTHING",
      {id, job.organization, job.project, job.request, job.kind, job.unique_key, json::write(job.input),
       job.priority, state_name(worker ? JobState::running : JobState::queued), at + job.delay.count(),
       claims, job.max_attempts, worker, at, started});
}

std::optional<JobId> Queue::enqueue_in(db::Connection& connection, const NewJob& job) {
  const JobId id = make_id();
  if (insert_in(connection, job, id, std::nullopt) == 0) return std::nullopt;
  return id;
}

Job Queue::enqueue_claimed_in(db::Connection& connection, const NewJob& job, const JobId& id,
                              const WorkerId& worker) {
  if (insert_in(connection, job, id, worker) == 0)
    throw db::Error(db::ErrorKind::constraint, "a job with this unique_key has not ended yet");
  return *find_in(connection, id);
}

std::vector<Job> Queue::claim_in(db::Connection& connection, const WorkerId& worker, const std::string& kind,
                                 std::size_t limit) {
  return in_order(parse_jobs(connection.query(
      fmt::format(
          "UPDATE jobs SET state = 'running', worker = $1, lease = lease + 1, attempts = attempts + 1, "
          "started_at = $2 WHERE state = 'queued' AND id IN (SELECT id FROM jobs WHERE kind = $3 AND "
          "state = 'queued' AND run_at <= $2 ORDER BY priority DESC, run_at, id LIMIT $4) RETURNING {}",
          columns),
      {worker, now(), kind, limit})));
}

std::vector<Job> Queue::claim_cancelled_in(db::Connection& connection, const WorkerId& worker,
                                           std::size_t limit) {
  return in_order(parse_jobs(connection.query(
      fmt::format(
          "UPDATE jobs SET state = 'running', worker = $1, lease = lease + 1, attempts = attempts + 1, "
          "started_at = $2 WHERE state = 'queued' AND id IN (SELECT id FROM jobs WHERE "
          "state = 'queued' AND cancel_requested = 1 ORDER BY id LIMIT $3) RETURNING {}",
          columns),
      {worker, now(), limit})));
}

Outlook Queue::look_in(db::Connection& connection, const std::vector<std::string>& kinds,
                       const std::optional<WorkerId>& worker) {
  const UnixMillis at = now();
  Outlook outlook;
  for (const std::string& kind : kinds) {
    const db::Rows rows =
        connection.query("SELECT MIN(run_at) FROM jobs WHERE kind = $1 AND state = 'queued'", {kind});
    const auto first = rows[0].get<std::optional<UnixMillis>>(0);
    if (!first) continue;
    if (*first <= at) {
      outlook.due.push_back(kind);
    } else {
      outlook.next = outlook.next ? std::min(*outlook.next, *first) : *first;
    }
  }
  outlook.has_cancelled =
      !connection.query("SELECT id FROM jobs WHERE state = 'queued' AND cancel_requested = 1 LIMIT 1")
           .empty();
  if (!worker) return outlook;
  for (const db::Row row : connection.query(
           "SELECT id, lease, cancel_requested FROM jobs WHERE worker = $1 AND state = 'running'",
           {*worker})) {
    outlook.held.push_back({{row.get<JobId>(0), row.get<std::int64_t>(1)}, row.get<bool>(2)});
  }
  return outlook;
}

void Queue::hold_in(db::Connection& connection, const Lease& lease) {
  check_step(connection, lease,
             connection.execute(fmt::format("UPDATE jobs SET lease = lease WHERE {}", ours_to_go_on),
                                {lease.job, lease.number}));
}

void Queue::save_in(db::Connection& connection, const Lease& lease, const std::optional<json::value>& cursor,
                    const Progress& progress) {
  const auto written = cursor ? std::optional(json::write(*cursor)) : std::nullopt;
  check_step(connection, lease,
             connection.execute(
                 fmt::format("UPDATE jobs SET cursor = $3, done = $4, total = $5, progress = $6 WHERE {}",
                             ours_to_go_on),
                 {lease.job, lease.number, written, progress.done, progress.total, progress.text}));
}

void Queue::succeed_in(db::Connection& connection, const Lease& lease) {
  check_step(
      connection, lease,
      connection.execute(
          fmt::format("UPDATE jobs SET state = 'succeeded', worker = NULL, unique_key = NULL, error = NULL, "
                      "ended_at = $3 WHERE {}",
                      ours_to_go_on),
          {lease.job, lease.number, now()}));
}

void Queue::fail_in(db::Connection& connection, const Lease& lease, std::string_view error) {
  check_step(
      connection, lease,
      connection.execute(fmt::format("UPDATE jobs SET state = 'failed', worker = NULL, unique_key = NULL, "
                                     "ended_at = $3, error = $4 WHERE {}",
                                     ours_to_go_on),
                         {lease.job, lease.number, now(), bounded(error)}));
}

void Queue::retry_in(db::Connection& connection, const Lease& lease, std::string_view error,
                     std::chrono::milliseconds pause) {
  check_step(
      connection, lease,
      connection.execute(
          fmt::format("UPDATE jobs SET state = 'queued', worker = NULL, run_at = $3, error = $4 WHERE {}",
                      ours_to_go_on),
          {lease.job, lease.number, now() + pause.count(), bounded(error)}));
}

void Queue::end_cancelled_in(db::Connection& connection, const Lease& lease) {
  const auto changed = connection.execute(
      fmt::format(
          "UPDATE jobs SET state = 'cancelled', worker = NULL, unique_key = NULL, ended_at = $3 WHERE {} "
          "AND cancel_requested = 1",
          ours),
      {lease.job, lease.number, now()});
  if (changed != 1) throw LeaseLost();
}

void Queue::release_in(db::Connection& connection, const Lease& lease) {
  const auto changed = connection.execute(
      fmt::format("UPDATE jobs SET state = 'queued', worker = NULL, attempts = attempts - 1 WHERE {}", ours),
      {lease.job, lease.number});
  if (changed != 1) throw LeaseLost();
}

void Queue::rearm_in(db::Connection& connection, const Lease& lease, std::chrono::milliseconds pause,
                     const std::optional<std::string>& error) {
  const auto changed = connection.execute(
      fmt::format(
          "UPDATE jobs SET state = 'queued', worker = NULL, run_at = $3, attempts = 0, cursor = NULL, "
          "cancel_requested = 0, error = $4 WHERE {}",
          ours),
      {lease.job, lease.number, now() + pause.count(), error});
  if (changed != 1) throw LeaseLost();
}

CancelOutcome Queue::cancel_in(db::Connection& connection, const JobId& job) {
  const auto changed = connection.execute(
      "UPDATE jobs SET cancel_requested = 1 WHERE id = $1 AND state IN ('queued', 'running')", {job});
  if (changed == 1) return CancelOutcome::requested;
  return find_in(connection, job) ? CancelOutcome::already_ended : CancelOutcome::unknown_job;
}

RestartOutcome Queue::restart_in(db::Connection& connection, const JobId& job) {
  const auto changed = connection.execute(
      "UPDATE jobs SET state = 'queued', run_at = $2, attempts = 0, cancel_requested = 0, ended_at = NULL "
      "WHERE id = $1 AND state IN ('failed', 'cancelled')",
      {job, now()});
  if (changed == 1) return RestartOutcome::queued;
  return find_in(connection, job) ? RestartOutcome::not_ended : RestartOutcome::unknown_job;
}

std::optional<Job> Queue::find_in(db::Connection& connection, const JobId& job) {
  const db::Rows rows = connection.query(fmt::format("SELECT {} FROM jobs WHERE id = $1", columns), {job});
  if (rows.empty()) return std::nullopt;
  return parse_job(rows[0]);
}

std::vector<Job> Queue::list_in(db::Connection& connection, const JobFilter& filter) {
  std::string sql = fmt::format("SELECT {} FROM jobs WHERE TRUE", columns);
  std::vector<db::Param> params;
  const std::string state(filter.state ? state_name(*filter.state) : "");
  if (filter.kind) {
    params.emplace_back(*filter.kind);
    sql += fmt::format(" AND kind = ${}", params.size());
  }
  if (filter.state) {
    params.emplace_back(state);
    sql += fmt::format(" AND state = ${}", params.size());
  }
  params.emplace_back(filter.limit);
  sql += fmt::format(" ORDER BY created_at DESC, id DESC LIMIT ${}", params.size());
  return parse_jobs(connection.query(sql, params));
}

// Two indexes hold what has not ended: it costs as much as there is to do.
std::vector<KindStatistics> Queue::statistics_in(db::Connection& connection) {
  std::vector<KindStatistics> all;
  const auto of = [&all](std::string kind) -> KindStatistics& {
    const auto found = std::ranges::find(all, kind, &KindStatistics::kind);
    return found != all.end() ? *found : all.emplace_back(KindStatistics{.kind = std::move(kind)});
  };
  for (const db::Row row : connection.query(
           "SELECT kind, COUNT(*), SUM(CASE WHEN run_at <= $1 THEN 1 ELSE 0 END), MIN(run_at) FROM jobs "
           "WHERE state = 'queued' GROUP BY kind ORDER BY kind",
           {now()})) {
    KindStatistics& kind = of(row.get<std::string>(0));
    kind.waiting = row.get<std::int64_t>(2);
    kind.scheduled = row.get<std::int64_t>(1) - kind.waiting;
    if (kind.waiting > 0) kind.oldest = row.get<UnixMillis>(3);
  }
  for (const db::Row row : connection.query(
           "SELECT kind, COUNT(*) FROM jobs WHERE state = 'running' GROUP BY kind ORDER BY kind")) {
    of(row.get<std::string>(0)).running = row.get<std::int64_t>(1);
  }
  return all;
}

std::int64_t Queue::remove_ended_in(db::Connection& connection, UnixMillis before, std::size_t limit) {
  return connection.execute(
      "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE ended_at IS NOT NULL AND ended_at < $1 "
      "ORDER BY ended_at, id LIMIT $2) AND ended_at IS NOT NULL",
      {before, limit});
}

}  // namespace hearth::jobs
