// From requests that have ended to the store's sums: added up in memory, written many times a second.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "async/task.hpp"
#include "base/clock.hpp"
#include "base/id.hpp"
#include "domain/costs.hpp"
#include "domain/spend_ledger.hpp"
#include "store/usage.hpp"

namespace hearth::domain {

// One request, when it has ended.
struct UsageEvent {
  store::UsageSeries series;
  store::UsageCounts counts;
  std::vector<LineItem> costs;
};

// What was recorded is on the disk within `interval` and two writes: `kill -9` loses less than the last 200
// ms on a disk that takes a write within 50 ms. A write that fails is tried again as it was, before anything
// newer: the store knows what it has already, so that one whose outcome it could not tell counts once.
// Thread: any. Owned by app/.
class UsageRecorder {
 public:
  static constexpr std::chrono::milliseconds interval{100};

  UsageRecorder(store::Usage& usage, const Clock& clock, IdSource& ids)
      : usage_(usage), clock_(clock), writer_(ids.make("writer_")) {}

  // Counts the request as of now. Takes a short lock, waits for nothing else.
  void record(UsageEvent event);

  // Writes what there is, again and again until cancelled: app/ spawns it. Nothing recorded, nothing written.
  Task<void> run();
  // Writes it now; app/ calls it last thing, after the listeners have stopped. One at a time. Throws what the
  // store throws, and keeps what is not written.
  Task<void> flush();

  SpendLedger& ledger() { return ledger_; }

 private:
  struct UsageKey {
    UnixSeconds minute = 0;
    store::UsageSeries series;
    bool operator==(const UsageKey&) const = default;
  };
  struct UsageKeyHash {
    std::size_t operator()(const UsageKey& key) const noexcept;
  };
  struct CostKey {
    UnixSeconds day = 0;
    store::Tenant tenant;
    std::string item;
    bool operator==(const CostKey&) const = default;
  };
  struct CostKeyHash {
    std::size_t operator()(const CostKey& key) const noexcept;
  };
  struct Sums {
    std::unordered_map<UsageKey, store::UsageCounts, UsageKeyHash> usage;
    std::unordered_map<CostKey, Money, CostKeyHash> costs;
    bool empty() const { return usage.empty() && costs.empty(); }
  };

  // A batch and what it adds to the projects' spending.
  struct Write {
    store::UsageBatch batch;
    std::map<std::pair<ProjectId, UnixSeconds>, Money> spending;
  };

  // nullopt: nothing was recorded.
  std::optional<Write> take();
  Task<void> write();

  store::Usage& usage_;
  const Clock& clock_;
  const std::string writer_;
  SpendLedger ledger_;
  std::int64_t batches_ = 0;    // begun; flush() alone touches this and the next
  std::optional<Write> write_;  // not known to be written
  std::mutex mutex_;
  Sums sums_;  // guarded by mutex_
};

}  // namespace hearth::domain
