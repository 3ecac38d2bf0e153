#include "app/jobs_command.hpp"

#include <stdexcept>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "app/admin_store.hpp"
#include "app/config_load.hpp"
#include "app/table.hpp"
#include "jobs/queue.hpp"

namespace hearth::app {
namespace {

[[noreturn]] void fail(std::string message) {
  throw std::runtime_error(std::move(message));
}

[[noreturn]] void fail_unknown(const std::string& id) {
  fail(fmt::format("no job {}; see hearth jobs list", id));
}

std::string render_time(std::optional<jobs::UnixMillis> at) {
  if (!at) return "-";
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(*at / 1000)));
}

// The state, and what a person needs to know beyond it.
std::string render_state(const jobs::Job& job, jobs::UnixMillis now) {
  if (job.ended_at) return std::string(jobs::state_name(job.state));
  if (job.cancel_requested) return "cancelling";
  if (job.state == jobs::JobState::queued && job.run_at > now) return "scheduled";
  return std::string(jobs::state_name(job.state));
}

std::string render_progress(const jobs::Progress& progress) {
  if (progress.total > 0) return fmt::format("{}/{}", progress.done, progress.total);
  return progress.done > 0 ? fmt::format("{}", progress.done) : "-";
}

template <class Id>
std::string or_dash(const std::optional<Id>& id) {
  return id ? id->str() : "-";
}

// On the command's store, with a queue that reads and writes there.
class JobStore {
 public:
  explicit JobStore(const Config& config) : store_(config), queue_(store_.clock(), store_.ids()) {}

  template <class Work>
  auto read(Work work) {
    return store_.wait(store_.database().read(
        [this, &work](db::Connection& connection) { return work(connection, queue_); }));
  }
  template <class Work>
  auto write(Work work) {
    return store_.wait(store_.database().write(
        jobs::queue_scope(), [this, &work](db::Connection& connection) { return work(connection, queue_); }));
  }
  jobs::UnixMillis now() const { return jobs::unix_millis(store_.clock()); }

 private:
  AdminStore store_;
  jobs::Queue queue_;
};

}  // namespace

void list_jobs(const Config& config, const ListJobs& request) {
  jobs::JobFilter filter{.limit = request.limit};
  if (!request.kind.empty()) filter.kind = request.kind;
  if (!request.state.empty()) {
    filter.state = jobs::parse_state(request.state);
    if (!filter.state) {
      throw ConfigError(fmt::format(
          "--state: expected queued, running, succeeded, failed or cancelled, not \"{}\"", request.state));
    }
  }
  JobStore store(config);
  const auto found = store.read(
      [&](db::Connection& connection, jobs::Queue& queue) { return queue.list_in(connection, filter); });
  std::vector<std::vector<std::string>> rows{
      {"ID", "KIND", "STATE", "ATTEMPTS", "RUNS AT (UTC)", "PROGRESS", "PROJECT", "ERROR"}};
  for (const jobs::Job& job : found) {
    rows.push_back({job.id.str(), job.kind, render_state(job, store.now()),
                    fmt::format("{}/{}", job.attempts, job.max_attempts), render_time(job.run_at),
                    render_progress(job.progress), or_dash(job.project), job.error.value_or("-")});
  }
  print_table(rows);
}

void show_job(const Config& config, const std::string& id) {
  JobStore store(config);
  const auto job = store.read([&](db::Connection& connection, jobs::Queue& queue) {
    return queue.find_in(connection, jobs::JobId(id));
  });
  if (!job) fail_unknown(id);
  print_table({{"id", job->id.str()},
               {"kind", job->kind},
               {"state", render_state(*job, store.now())},
               {"attempts", fmt::format("{} of {}", job->attempts, job->max_attempts)},
               {"priority", fmt::format("{}", job->priority)},
               {"organization", or_dash(job->organization)},
               {"project", or_dash(job->project)},
               {"request", or_dash(job->request)},
               {"worker", or_dash(job->worker)},
               {"created (UTC)", render_time(job->created_at)},
               {"runs at (UTC)", render_time(job->run_at)},
               {"started (UTC)", render_time(job->started_at)},
               {"ended (UTC)", render_time(job->ended_at)},
               {"progress", render_progress(job->progress)},
               {"message", job->progress.text.empty() ? "-" : job->progress.text},
               {"input", json::write(job->input)},
               {"cursor", job->cursor ? json::write(*job->cursor) : "-"},
               {"error", job->error.value_or("-")}});
}

void cancel_job(const Config& config, const std::string& id) {
  JobStore store(config);
  switch (store.write([&](db::Connection& connection, jobs::Queue& queue) {
    return queue.cancel_in(connection, jobs::JobId(id));
  })) {
    case jobs::CancelOutcome::requested:
      return fmt::print("{} is being cancelled.\n", id);
    case jobs::CancelOutcome::already_ended:
      fail(fmt::format("the job {} has ended", id));
    case jobs::CancelOutcome::unknown_job:
      fail_unknown(id);
  }
}

void retry_job(const Config& config, const std::string& id) {
  JobStore store(config);
  switch (store.write([&](db::Connection& connection, jobs::Queue& queue) {
    return queue.restart_in(connection, jobs::JobId(id));
  })) {
    case jobs::RestartOutcome::queued:
      return fmt::print("{} is queued.\n", id);
    case jobs::RestartOutcome::not_ended:
      fail(fmt::format("the job {} is not one that failed or was cancelled", id));
    case jobs::RestartOutcome::unknown_job:
      fail_unknown(id);
  }
}

}  // namespace hearth::app
