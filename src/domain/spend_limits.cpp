#include "domain/spend_limits.hpp"

#include <chrono>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/api_error.hpp"

namespace hearth::domain {
namespace {

constexpr std::chrono::milliseconds staleness{250};  // of what other replicas have spent
constexpr std::size_t max_known = 10'000;
constexpr UnixSeconds longest_month = 31 * 86'400;

}  // namespace

Task<void> SpendLimits::check(const store::Tenant& tenant) {
  auto epoch = epoch_.find_current();  // before the row is read
  if (!epoch) epoch = co_await epoch_.read();
  const auto known = find_known(tenant.project, *epoch);
  const auto budget = known ? *known : co_await read_budget(tenant, *epoch);
  if (!budget) co_return;
  const UnixSeconds month = store::month_of(clock_.unix_now());
  if (co_await spent_by(tenant, month) < *budget) co_return;
  const std::chrono::sys_seconds next(std::chrono::seconds(store::month_of(month + longest_month)));
  throw ApiError::rate_limited(
      "insufficient_quota",
      fmt::format("This project has spent its monthly budget of {} {}. Requests are served again from "
                  "{:%Y-%m-%d} (UTC) on, or when an administrator raises the budget.",
                  from_money(*budget), settings_.currency, next));
}

std::optional<std::optional<Money>> SpendLimits::find_known(const ProjectId& project, std::uint64_t epoch) {
  std::lock_guard lock(mutex_);
  const auto found = known_.find(project);
  if (found == known_.end() || found->second.epoch != epoch) return std::nullopt;
  return found->second.amount;
}

Task<std::optional<Money>> SpendLimits::read_budget(const store::Tenant& tenant, std::uint64_t epoch) {
  const auto own = co_await budgets_.find(tenant);
  const std::optional<Money> amount = own ? own->amount : settings_.monthly_budget;
  std::lock_guard lock(mutex_);
  if (known_.size() >= max_known) known_.clear();
  known_.insert_or_assign(tenant.project, KnownBudget{epoch, amount});
  co_return amount;
}

Task<Money> SpendLimits::spent_by(const store::Tenant& tenant, UnixSeconds month) {
  const std::uint64_t token = database_.change_token();  // before the row is read
  if (const auto spent = ledger_.spent(tenant.project, month); spent && is_fresh(tenant.project, token)) {
    co_return *spent;
  }
  const SteadyTime now = clock_.steady_now();
  const std::uint64_t ticket = ledger_.begin_reading(tenant.project, month);
  const Money stored = co_await budgets_.spent(tenant, month);
  if (ledger_.read(tenant.project, month, ticket, stored)) {
    std::lock_guard lock(mutex_);
    if (readings_.size() >= max_known) readings_.clear();
    readings_.insert_or_assign(tenant.project, Reading{token, now});
  }
  co_return ledger_.spent(tenant.project, month).value_or(stored);
}

bool SpendLimits::is_fresh(const ProjectId& project, std::uint64_t token) {
  std::lock_guard lock(mutex_);
  const auto found = readings_.find(project);
  if (found == readings_.end()) return false;
  return found->second.token == token || clock_.steady_now() - found->second.at < staleness;
}

}  // namespace hearth::domain
