// Monthly budgets: what a project may spend in a calendar month (UTC), and what it has spent.
#pragma once

#include <optional>

#include "base/clock.hpp"
#include "base/money.hpp"
#include "db/database.hpp"
#include "store/tenant.hpp"

namespace hearth::store {

// A project's own budget, in place of the configured default.
struct Budget {
  std::optional<Money> amount;  // nullopt: no end; 0: nothing may be spent
};

// The first second of the month that `at` lies in.
UnixSeconds month_of(UnixSeconds at);

// Thread: any; `_in` the database's, inside write().
class Budgets {
 public:
  explicit Budgets(db::Database& database) : database_(database) {}

  // nullopt: the project follows the configured default.
  Task<std::optional<Budget>> find(const Tenant& tenant);
  // Every replica holds to it within a second. The project must be the organization's.
  Task<void> set(const Tenant& tenant, Budget budget, const Clock& clock);
  static void set_in(db::Connection& connection, const Tenant& tenant, const Budget& budget,
                     const Clock& clock);
  // Back to the configured default; false when there was no budget of its own.
  Task<bool> reset(const Tenant& tenant);
  static bool reset_in(db::Connection& connection, const Tenant& tenant);

  // What is written of it: the usage of the last moments may still be on its way.
  Task<Money> spent(const Tenant& tenant, UnixSeconds month);

 private:
  db::Database& database_;
};

}  // namespace hearth::store
