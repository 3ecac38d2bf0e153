// The ledger of one process, in its memory. What was used before a restart is forgotten.
#pragma once

#include <array>
#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.hpp"
#include "domain/limits/ledger.hpp"
#include "domain/limits/window.hpp"

namespace hearth::domain {

// Thread: any. Each shard has a lock that is held for the few steps of one decision.
class LocalLedger final : public LimitLedger {
 public:
  LocalLedger(const Clock& clock, std::chrono::milliseconds reservation_time)
      : clock_(clock), reservation_time_(reservation_time) {}

  Task<Decision> reserve(std::string key, const Limits& limits, Amounts amounts) override;
  void settle(Ticket ticket, Outcome outcome) override;
  // reserve(), which never waits here.
  Decision decide(std::string key, const Limits& limits, const Amounts& amounts);

  // Keys of which something is counted or held, or was until lately.
  std::size_t keys() const;

 private:
  static constexpr std::size_t shard_count = 16;
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, LimitWindow> windows;  // guarded by mutex
    std::int64_t swept_at = 0;                             // guarded by mutex
    std::uint64_t last_id = 0;                             // guarded by mutex
  };

  Shard& shard_of(const std::string& key);
  std::int64_t now() const;
  // Forgets what is idle, once a minute. With the shard's lock.
  static void sweep(Shard& shard, std::int64_t now);

  const Clock& clock_;
  std::chrono::milliseconds reservation_time_;
  std::array<Shard, shard_count> shards_;
};

}  // namespace hearth::domain
