#include "domain/limits/local_ledger.hpp"

namespace hearth::domain {

Task<Decision> LocalLedger::reserve(std::string key, const Limits& limits, Amounts amounts) {
  co_return decide(std::move(key), limits, amounts);
}

Decision LocalLedger::decide(std::string key, const Limits& limits, const Amounts& amounts) {
  Shard& shard = shard_of(key);
  const std::int64_t lifetime = reservation_time_.count();
  Decision decision;
  {
    std::lock_guard lock(shard.mutex);
    const std::int64_t at = now();  // under the lock: a window's time never goes back
    sweep(shard, at);
    decision = shard.windows[key].reserve(at, limits, amounts, {++shard.last_id, lifetime});
  }
  decision.ticket.key = std::move(key);
  return decision;
}

void LocalLedger::settle(Ticket ticket, Outcome outcome) {
  Shard& shard = shard_of(ticket.key);
  std::lock_guard lock(shard.mutex);
  const auto window = shard.windows.find(ticket.key);
  if (window != shard.windows.end()) window->second.settle(now(), ticket, outcome);
}

std::size_t LocalLedger::keys() const {
  std::size_t count = 0;
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    count += shard.windows.size();
  }
  return count;
}

LocalLedger::Shard& LocalLedger::shard_of(const std::string& key) {
  return shards_[std::hash<std::string>{}(key) % shard_count];
}

std::int64_t LocalLedger::now() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady_now().time_since_epoch())
      .count();
}

void LocalLedger::sweep(Shard& shard, std::int64_t now) {
  if (now - shard.swept_at < LimitWindow::minute) return;
  shard.swept_at = now;
  for (auto entry = shard.windows.begin(); entry != shard.windows.end();) {
    entry = entry->second.is_idle(now) ? shard.windows.erase(entry) : std::next(entry);
  }
}

}  // namespace hearth::domain
