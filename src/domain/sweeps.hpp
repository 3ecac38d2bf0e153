// Deletes what has expired, in the background: sessions, links, invites, ended jobs, event streams.
//
// What expires is refused by whoever reads it, so a sweep changes nothing that a client sees, but for
// invites: an expired one is listed for 30 days. What lives in memory or in Redis (reservations of limits,
// attempts to log in) expires there by itself.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "db/connection.hpp"
#include "jobs/handler.hpp"

namespace hearth::domain {

// A job that deletes in batches, a transaction each: other writers wait for one batch at the most. Its cursor
// is the step, and its progress the rows that are gone.
class ExpirySweep final : public jobs::Handler {
 public:
  static constexpr std::size_t batch = 500;

  // Deletes up to `limit` rows; how many they were. Thread: the database's.
  using Step = std::function<std::int64_t(db::Connection& connection, std::size_t limit)>;
  explicit ExpirySweep(std::vector<Step> steps) : steps_(std::move(steps)) {}

  Task<jobs::Effect> run(jobs::Execution& execution) override;

 private:
  std::vector<Step> steps_;
};

struct SweepSettings {
  std::chrono::milliseconds every{3'600'000};
  std::chrono::milliseconds jobs_kept{7 * 86'400'000LL};  // after their end
};

// The kinds of jobs that sweep. Owned by app/, outlives the runner.
class Sweeps {
 public:
  Sweeps(const Clock& clock, SweepSettings settings);
  std::vector<jobs::Kind> kinds();

 private:
  SweepSettings settings_;
  ExpirySweep sessions_;
  ExpirySweep invites_;
  ExpirySweep jobs_;
};

}  // namespace hearth::domain
