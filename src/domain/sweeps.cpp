#include "domain/sweeps.hpp"

#include <fmt/format.h>

#include "jobs/event_log.hpp"
#include "jobs/queue.hpp"
#include "store/invites.hpp"
#include "store/sessions.hpp"

namespace hearth::domain {
namespace {

constexpr UnixSeconds invites_kept = 30 * 86'400;

}  // namespace

Task<jobs::Effect> ExpirySweep::run(jobs::Execution& execution) {
  const auto& cursor = execution.job().cursor;
  auto step = cursor ? static_cast<std::size_t>(cursor->at("step").to_number<std::int64_t>()) : 0;
  std::int64_t deleted = cursor ? execution.job().progress.done : 0;  // of this run
  while (step < steps_.size()) {
    // The last batch of a step is one that is not full.
    co_await execution.save_after([&](db::Connection& connection) {
      const std::int64_t gone = steps_[step](connection, batch);
      const std::size_t next = gone < static_cast<std::int64_t>(batch) ? step + 1 : step;
      return jobs::Saved{{{"step", next}}, {.done = deleted + gone}};
    });
    step = static_cast<std::size_t>(execution.job().cursor->at("step").to_number<std::int64_t>());
    deleted = execution.job().progress.done;
  }
  if (deleted > 0) execution.note("sweep.deleted", fmt::format("{}", deleted));
  co_return jobs::Effect();
}

Sweeps::Sweeps(const Clock& clock, SweepSettings settings)
    : settings_(settings),
      sessions_({[&clock](db::Connection& connection, std::size_t limit) {
                   return store::Sessions::remove_expired_in(connection, clock.unix_now(), limit);
                 },
                 [&clock](db::Connection& connection, std::size_t limit) {
                   return store::Sessions::remove_expired_links_in(connection, clock.unix_now(), limit);
                 }}),
      invites_({[&clock](db::Connection& connection, std::size_t limit) {
        return store::Invites::remove_expired_in(connection, clock.unix_now() - invites_kept, limit);
      }}),
      jobs_({[&clock, kept = settings.jobs_kept](db::Connection& connection, std::size_t limit) {
               return jobs::Queue::remove_ended_in(connection, jobs::unix_millis(clock) - kept.count(),
                                                   limit);
             },
             [&clock](db::Connection& connection, std::size_t limit) {
               return jobs::event_log::remove_expired_in(connection, jobs::unix_millis(clock), limit);
             }}) {}

std::vector<jobs::Kind> Sweeps::kinds() {
  return {{.name = "sweep_sessions", .handler = sessions_, .every = settings_.every},
          {.name = "sweep_invites", .handler = invites_, .every = settings_.every},
          {.name = "sweep_jobs", .handler = jobs_, .every = settings_.every}};
}

}  // namespace hearth::domain
