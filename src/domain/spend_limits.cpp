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

Task<void> SpendLimits::check(const store::Tenant& tenant, std::uint64_t epoch) {
  const ProjectId& project = tenant.project;
  const auto known = find_known(project, epoch);
  const auto budget = known ? *known : co_await read_budget(tenant, epoch);
  if (!budget) co_return;
  const UnixSeconds month = store::month_of(clock_.unix_now());
  auto spent = find_spent(project, month);
  if (!spent) spent = co_await read_spent(tenant, month);
  if (*spent < *budget) co_return;
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

Task<std::optional<Money>> SpendLimits::read_budget(store::Tenant tenant, std::uint64_t epoch) {
  const auto own = co_await budgets_.find(tenant);
  const std::optional<Money> amount = own ? own->amount : settings_.monthly_budget;
  std::lock_guard lock(mutex_);
  if (known_.size() >= max_known) known_.clear();
  known_.insert_or_assign(tenant.project, KnownBudget{epoch, amount});
  co_return amount;
}

// What is known of others, where that is fresh.
std::optional<Money> SpendLimits::find_spent(const ProjectId& project, UnixSeconds month) {
  const auto spent = ledger_.spent(project, month);
  if (!spent) return std::nullopt;
  const bool fresh = clock_.steady_now() - spent->others.at < staleness ||
                     (spent->others.token != 0 && spent->others.token == database_.change_token());
  return fresh ? std::optional(spent->amount) : std::nullopt;
}

Task<Money> SpendLimits::read_spent(store::Tenant tenant, UnixSeconds month) {
  // Both before the row is read.
  const SpendLedger::Look look{.token = database_.change_token(), .at = clock_.steady_now()};
  const std::uint64_t ticket = ledger_.begin_reading(tenant.project, month);
  const Money stored = co_await budgets_.spent(tenant, month);
  ledger_.read(tenant.project, month, ticket, stored, look);
  const auto spent = ledger_.spent(tenant.project, month);
  co_return spent ? spent->amount : stored;
}

}  // namespace hearth::domain
