#include "domain/usage_recorder.hpp"

#include <utility>

#include "async/deadline.hpp"
#include "base/log.hpp"
#include "store/budgets.hpp"

namespace hearth::domain {
namespace {

constexpr UnixSeconds minute = 60;
constexpr UnixSeconds day = 86'400;

std::size_t mix(std::size_t hash, std::size_t more) {
  return hash * 1'099'511'628'211ULL + more;
}

}  // namespace

std::size_t UsageRecorder::UsageKeyHash::operator()(const UsageKey& key) const noexcept {
  return mix(store::UsageSeriesHash{}(key.series), static_cast<std::size_t>(key.minute));
}

std::size_t UsageRecorder::CostKeyHash::operator()(const CostKey& key) const noexcept {
  return mix(mix(std::hash<ProjectId>{}(key.tenant.project), std::hash<std::string>{}(key.item)),
             static_cast<std::size_t>(key.day));
}

void UsageRecorder::record(UsageEvent event) {
  const UnixSeconds now = clock_.unix_now();
  Money cost = 0;
  for (const LineItem& item : event.costs)
    cost += item.amount;
  // The ledger first: it must know of an amount before that can be written.
  if (cost > 0) ledger_.added(event.series.tenant.project, store::month_of(now), cost);
  std::lock_guard lock(mutex_);
  for (LineItem& item : event.costs)
    sums_.costs[{now - now % day, event.series.tenant, std::move(item.name)}] += item.amount;
  sums_.usage[{now - now % minute, std::move(event.series)}] += event.counts;
}

Task<void> UsageRecorder::run() {
  bool failing = false;  // one line for a row of failures
  for (;;) {
    co_await async::sleep_for(interval);
    try {
      co_await flush();
      failing = false;
    } catch (const std::exception& failure) {
      if (!failing) log::warn("domain.usage_not_written", {{"reason", failure.what()}});
      failing = true;
    }
  }
}

Task<void> UsageRecorder::flush() {
  if (write_) co_await write();
  write_ = take();
  if (write_) co_await write();
}

std::optional<UsageRecorder::Write> UsageRecorder::take() {
  Sums taken;
  {
    std::lock_guard lock(mutex_);
    std::swap(taken, sums_);
  }
  if (taken.empty()) return std::nullopt;
  Write made{.batch = {.writer = writer_, .number = ++batches_}};
  for (const auto& [key, counts] : taken.usage)
    made.batch.usage.push_back({key.series, key.minute, counts});
  for (const auto& [key, amount] : taken.costs) {
    made.batch.costs.push_back({key.tenant, key.day, key.item, amount});
    made.spending[{key.tenant.project, store::month_of(key.day)}] += amount;
  }
  for (const auto& [key, amount] : made.spending)
    ledger_.writing(key.first, key.second);
  return made;
}

// When it throws, the batch may be written all the same: for the ledger it is still being written.
Task<void> UsageRecorder::write() {
  const SpendLedger::Look look{.at = clock_.steady_now()};
  for (const store::Spending& total : co_await usage_.add(write_->batch, clock_.unix_now()))
    ledger_.written(total.project, total.month, write_->spending[{total.project, total.month}], total.amount,
                    look);
  write_.reset();
}

}  // namespace hearth::domain
