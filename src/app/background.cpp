#include "app/background.hpp"

#include "base/log.hpp"

namespace hearth::app {
namespace {

std::vector<jobs::Kind> all_kinds(domain::Sweeps& sweeps) {
  return sweeps.kinds();
}

}  // namespace

Background::Background(const Config& config, const async::Executor& executor, db::Database& database,
                       const Clock& clock, IdSource& ids)
    : clock_(clock),
      sweeps_(clock, {.every = config.jobs.sweep_interval, .jobs_kept = config.jobs.kept}),
      runner_(executor, database, clock, ids, all_kinds(sweeps_), runner_settings(config)) {}

Task<api::JobMetrics> Background::metrics() {
  api::JobMetrics metrics{.counts = runner_.counts(), .now = jobs::unix_millis(clock_)};
  try {
    metrics.kinds = co_await runner_.statistics();
  } catch (const std::exception& failure) {
    log::debug("jobs.no_statistics", {{"reason", failure.what()}});
  }
  co_return metrics;
}

}  // namespace hearth::app
