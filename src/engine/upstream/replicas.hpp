// The replicas of one upstream: which one gets the next call, and which are left alone for a while.
//
//   closed ──N failures in a row──▶ open ──time passed, one probe──▶ closed
//                                     ▲─────────probe failed────────────┘
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "engine/upstream/backend.hpp"
#include "net/http_client.hpp"

namespace hearth::engine::upstream {

struct Replica {
  Replica(net::Origin origin, std::string path, net::ClientTimeouts timeouts)
      : base_path(std::move(path)), client(std::move(origin), timeouts) {}
  std::string base_path;  // "/v1"
  net::HttpClient client;

  // Under the set's mutex.
  std::size_t outstanding = 0;
  unsigned failures = 0;  // in a row
  unsigned openings = 0;  // in a row, without a success between
  bool open = false;
  bool probing = false;
  SteadyTime retry_at{};
};

class ReplicaSet;

// One call's hold on a replica; counts as outstanding until it dies. Without succeeded() or failed() it says
// nothing about the replica's health: the caller went away. Thread: one at a time.
class Turn {
 public:
  Turn(Turn&& other) noexcept;
  Turn& operator=(Turn&&) = delete;
  ~Turn();
  Replica& replica() const { return *replica_; }
  std::size_t index() const { return index_; }
  // It was down: ask it GET /models first, then say recovered() or failed().
  bool must_probe() const { return must_probe_; }
  // A second hold on the same replica: for the stream that a call has begun.
  Turn share() const;
  void recovered();
  void succeeded();
  void failed(std::string_view cause);

 private:
  friend class ReplicaSet;
  Turn(ReplicaSet& set, Replica& replica, std::size_t index, bool must_probe)
      : set_(&set), replica_(&replica), index_(index), must_probe_(must_probe) {}
  ReplicaSet* set_;  // null when moved from
  Replica* replica_;
  std::size_t index_;
  bool must_probe_;
};

// Thread: any.
class ReplicaSet {
 public:
  static constexpr std::size_t most = 64;
  // Throws std::runtime_error for a base URL that is none, and for none or too many of them.
  ReplicaSet(const UpstreamSpec& spec, CircuitPolicy policy);

  // A replica that is due for a probe, else the one with the fewest calls under way; none of `tried` (a bit
  // per index). nullopt when nobody is left.
  std::optional<Turn> pick(std::uint64_t tried, SteadyTime now);
  // Whether one that is not down is left beside the `tried`.
  bool has_other(std::uint64_t tried) const;
  // When the first replica that is down may be asked again.
  std::chrono::milliseconds until_retry(SteadyTime now) const;
  std::size_t size() const { return replicas_.size(); }

 private:
  friend class Turn;
  void open(Replica& replica, SteadyTime now);  // caller holds the mutex

  const CircuitPolicy policy_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::size_t first_ = 0;  // where the search for the least busy one begins; moves on for equal ones
};

}  // namespace hearth::engine::upstream
