// What runs in the background of a server and of `hearth worker`: the kinds of jobs, with what their handlers
// need, and the loops that run them.
//
// One more kind of job: its handler as a member here, and its kind in the list of the constructor.
#pragma once

#include "api/metrics.hpp"
#include "app/config.hpp"
#include "async/runtime.hpp"
#include "db/database.hpp"
#include "domain/blob_sweep.hpp"
#include "domain/sweeps.hpp"
#include "jobs/runner.hpp"

namespace hearth::app {

// Thread: as jobs::Runner.
class Background {
 public:
  Background(const Config& config, const async::Executor& executor, db::Database& database,
             store::BlobStore& blobs, const Clock& clock, IdSource& ids);

  jobs::Runner& runner() { return runner_; }
  // For /metrics; without what the database knows while that is away.
  Task<api::JobMetrics> metrics();

 private:
  const Clock& clock_;
  domain::Sweeps sweeps_;
  domain::BlobSweep blob_sweep_;
  jobs::Runner runner_;
};

}  // namespace hearth::app
