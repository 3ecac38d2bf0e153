#include "store/service_accounts.hpp"

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "json/json.hpp"
#include "store/access_epoch.hpp"
#include "store/key_directory.hpp"
#include "store/projects.hpp"
#include "store/roles.hpp"
#include "store/sequence.hpp"

namespace hearth::store {
namespace {

constexpr std::string_view columns = "id, name, role, created_at";  // as parse_account reads them
constexpr std::string_view key_name = "Secret key";

ServiceAccount parse_account(const db::Row& row) {
  return {.id = row.get<ServiceAccountId>(0),
          .name = row.get<std::string>(1),
          .role = parse_project_role(row.get<std::string_view>(2)),
          .created_at = row.get<UnixSeconds>(3)};
}

ServiceAccount get_in(db::Connection& connection, const Tenant& tenant, const ServiceAccountId& id) {
  const db::Rows rows = connection.query(
      fmt::format(
          "SELECT {} FROM service_accounts WHERE organization_id = $1 AND project_id = $2 AND id = $3",
          columns),
      {tenant.organization, tenant.project, id});
  if (rows.empty()) {
    throw ApiError::not_found(
        fmt::format("No service account with the id '{}' was found in the project.", id.str()),
        "service_account_id");
  }
  return parse_account(rows[0]);
}

NewAuditLog event_of(std::string_view type, const Project& project, const ServiceAccountId& account,
                     json::object details) {
  details["id"] = account.str();
  return {.type = type,
          .project = project.id,
          .project_name = project.name,
          .resources = {account.str(), project.id.str()},
          .details = json::write(std::move(details))};
}

}  // namespace

Task<Page<ServiceAccount>> ServiceAccounts::list(Tenant tenant, PageRequest page) {
  co_return co_await database_.read(
      [tenant = std::move(tenant), page = std::move(page)](db::Connection& connection) {
        Projects::get_active_in(connection, tenant);
        PagedSelect select(columns, "service_accounts", {"created_at", "sequence"});
        select.where("organization_id = {}", tenant.organization).where("project_id = {}", tenant.project);
        return select.read<ServiceAccount>(connection, page, "id", page.after, parse_account);
      });
}

Task<ServiceAccount> ServiceAccounts::get(Tenant tenant, ServiceAccountId id) {
  co_return co_await database_.read(
      [tenant = std::move(tenant), id = std::move(id)](db::Connection& connection) {
        Projects::get_in(connection, tenant.organization, tenant.project);
        return get_in(connection, tenant, id);
      });
}

Task<CreatedServiceAccount> ServiceAccounts::create(Actor actor, ProjectId project_id, std::string name) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const Tenant tenant{actor.organization, project_id};
    const Project project = Projects::get_active_in(connection, tenant);
    CreatedServiceAccount created{.account = {.id = ServiceAccountId(ids_.make("svc_acct_")),
                                              .name = name,
                                              .created_at = clock_.unix_now()}};
    const ServiceAccount& account = created.account;
    connection.execute(
        "INSERT INTO service_accounts (id, organization_id, project_id, name, role, created_at, sequence) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        {account.id, tenant.organization, tenant.project, account.name, role_name(account.role),
         account.created_at, next_sequence(connection, tenant, "service_accounts")});
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         event_of("service_account.created", project, account.id,
                                  {{"data", {{"role", role_name(account.role)}}}}));
    created.key =
        KeyDirectory::create_in(connection, clock_, ids_, actor,
                                {tenant.organization, project_id, KeyKind::service_account,
                                 std::string(key_name), OwnerKind::service_account, account.id.str()},
                                project.name);
    return created;
  });
}

Task<void> ServiceAccounts::remove(Actor actor, ProjectId project_id, ServiceAccountId id) {
  co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const Tenant tenant{actor.organization, project_id};
    const Project project = Projects::get_active_in(connection, tenant);
    get_in(connection, tenant, id);
    KeyDirectory::revoke_owned_in(connection, clock_, ids_, actor, {OwnerKind::service_account, id.str()});
    connection.execute(
        "DELETE FROM service_accounts WHERE organization_id = $1 AND project_id = $2 AND id = $3",
        {tenant.organization, tenant.project, id});
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         event_of("service_account.deleted", project, id, {}));
  });
}

}  // namespace hearth::store
