// Monthly budgets, enforced: a project that has spent its budget is refused until the month ends.
#pragma once

#include <mutex>
#include <optional>
#include <unordered_map>

#include "async/task.hpp"
#include "base/clock.hpp"
#include "domain/spend_ledger.hpp"
#include "store/budgets.hpp"

namespace hearth::domain {

// A request is let in while less than the budget is spent, so a budget is overdrawn by what the requests in
// flight cost, at the most. What other replicas spend counts within a second. Thread: any. Owned by app/.
class SpendLimits {
 public:
  struct Settings {
    std::optional<Money> monthly_budget;  // of projects without one of their own; nullopt: no end
    std::string currency = "usd";
  };

  SpendLimits(store::Budgets& budgets, db::Database& database, SpendLedger& ledger, const Clock& clock,
              Settings settings)
      : budgets_(budgets),
        database_(database),
        ledger_(ledger),
        clock_(clock),
        settings_(std::move(settings)) {}

  // ApiError 429 insufficient_quota when the budget of the project is spent. `epoch`: the access epoch.
  Task<void> check(const store::Tenant& tenant, std::uint64_t epoch);

 private:
  struct KnownBudget {
    std::uint64_t epoch = 0;
    std::optional<Money> amount;
  };

  // The budget, or that there is none; nullopt: not known under this epoch.
  std::optional<std::optional<Money>> find_known(const ProjectId& project, std::uint64_t epoch);
  Task<std::optional<Money>> read_budget(store::Tenant tenant, std::uint64_t epoch);
  std::optional<Money> find_spent(const ProjectId& project, UnixSeconds month);
  Task<Money> read_spent(store::Tenant tenant, UnixSeconds month);

  store::Budgets& budgets_;
  db::Database& database_;
  SpendLedger& ledger_;
  const Clock& clock_;
  Settings settings_;
  std::mutex mutex_;
  std::unordered_map<ProjectId, KnownBudget> known_;  // guarded by mutex_
};

}  // namespace hearth::domain
