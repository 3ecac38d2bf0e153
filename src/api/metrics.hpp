// What /metrics shows, in the Prometheus text format.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contract/operation.hpp"
#include "domain/metered_call.hpp"
#include "engine/engines.hpp"
#include "jobs/runner.hpp"
#include "net/http_server.hpp"

namespace hearth::api {

// What /metrics says of background jobs.
struct JobMetrics {
  std::vector<jobs::KindStatistics> kinds;           // of the database
  std::map<std::string, jobs::RunnerCounts> counts;  // of this process
  jobs::UnixMillis now = 0;
};

// Thread: any. Counting never blocks: atomics per operation.
class Metrics {
 public:
  explicit Metrics(std::span<const contract::Operation> operations = contract::operations());

  // `operation` is null for requests that reached none.
  void finished(const contract::Operation* operation, int status, std::chrono::nanoseconds duration);

  using Tokens = std::map<std::string, domain::Metering::Tokens, std::less<>>;
  std::string render(const net::ServerStatistics& server, const std::vector<engine::EngineStatus>& engines,
                     const Tokens& tokens, const JobMetrics& jobs) const;

 private:
  static constexpr std::array<double, 12> bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                 0.1,   0.25,   1,     5,    30,    120};
  struct Series {
    std::array<std::atomic<std::uint64_t>, 6> by_class{};  // [status / 100]
    std::array<std::atomic<std::uint64_t>, bounds.size() + 1> buckets{};
    std::atomic<std::uint64_t> nanoseconds{0};
  };
  std::span<const contract::Operation> operations_;
  std::vector<Series> series_;  // by operation; the last is for requests that reached none
};

}  // namespace hearth::api
