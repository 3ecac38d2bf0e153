#include "store/budgets.hpp"

#include <chrono>

#include "store/access_epoch.hpp"

namespace hearth::store {

UnixSeconds month_of(UnixSeconds at) {
  using namespace std::chrono;
  const year_month_day day(floor<days>(sys_seconds(seconds(at))));
  return sys_seconds(sys_days(day.year() / day.month() / 1)).time_since_epoch().count();
}

Task<std::optional<Budget>> Budgets::find(const Tenant& tenant) {
  co_return co_await database_.read([&tenant](db::Connection& connection) -> std::optional<Budget> {
    const db::Rows rows =
        connection.query("SELECT amount FROM project_budgets WHERE project_id = $1 AND organization_id = $2",
                         {tenant.project, tenant.organization});
    if (rows.empty()) return std::nullopt;
    return Budget{rows[0].get<std::optional<Money>>(0)};
  });
}

Task<void> Budgets::set(const Tenant& tenant, Budget budget, const Clock& clock) {
  co_await database_.write(tenant.organization,
                           [&](db::Connection& connection) { set_in(connection, tenant, budget, clock); });
}

void Budgets::set_in(db::Connection& connection, const Tenant& tenant, const Budget& budget,
                     const Clock& clock) {
  connection.execute(
      "INSERT INTO project_budgets (project_id, organization_id, amount, updated_at) VALUES ($1, $2, $3, $4) "
      "ON CONFLICT (project_id) DO UPDATE SET amount = excluded.amount, updated_at = excluded.updated_at",
      {tenant.project, tenant.organization, budget.amount, clock.unix_now()});
  AccessEpoch::advance_in(connection, tenant.organization);
}

Task<bool> Budgets::reset(const Tenant& tenant) {
  co_return co_await database_.write(
      tenant.organization, [&](db::Connection& connection) { return reset_in(connection, tenant); });
}

bool Budgets::reset_in(db::Connection& connection, const Tenant& tenant) {
  AccessEpoch::advance_in(connection, tenant.organization);
  return connection.execute("DELETE FROM project_budgets WHERE project_id = $1 AND organization_id = $2",
                            {tenant.project, tenant.organization}) == 1;
}

Task<Money> Budgets::spent(const Tenant& tenant, UnixSeconds month) {
  co_return co_await database_.read([&tenant, month](db::Connection& connection) -> Money {
    const db::Rows rows = connection.query(
        "SELECT amount FROM project_spending WHERE project_id = $1 AND month = $2 AND organization_id = $3",
        {tenant.project, month, tenant.organization});
    return rows.empty() ? 0 : rows[0].get<Money>(0);
  });
}

}  // namespace hearth::store
