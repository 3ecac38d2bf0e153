#include "app/background.hpp"

#include "base/log.hpp"

namespace hearth::app {
namespace {

std::vector<jobs::Kind> all_kinds(domain::Sweeps& sweeps, domain::BlobSweep& blob_sweep) {
  std::vector<jobs::Kind> kinds = sweeps.kinds();
  kinds.push_back(blob_sweep.kind());
  return kinds;
}

}  // namespace

Background::Background(const Config& config, const async::Executor& executor, db::Database& database,
                       store::BlobStore& blobs, const Clock& clock, IdSource& ids)
    : clock_(clock),
      sweeps_(clock, {.every = config.jobs.sweep_interval, .jobs_kept = config.jobs.kept}),
      blob_sweep_(blobs, database, clock, config.jobs.sweep_interval),
      runner_(executor, database, clock, ids, all_kinds(sweeps_, blob_sweep_), runner_settings(config)) {}

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
