#include "store/key_directory.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "json/json.hpp"
#include "store/access_epoch.hpp"
#include "store/projects.hpp"
#include "store/roles.hpp"

namespace hearth::store {
namespace {

using contract::OrganizationRole;
using contract::ProjectRole;

// What parse_key reads: a key with the one user or service account that owns it.
constexpr std::string_view columns =
    "k.id, k.name, k.redacted_value, k.created_at, k.last_used_at, k.owner_kind, k.owner, "
    "COALESCE(u.name, s.name, ''), COALESCE(u.email, ''), COALESCE(m.added_at, u.added_at, s.created_at, "
    "k.created_at), u.role, COALESCE(m.role, s.role, 'member'), COALESCE(s.administers, 0)";
constexpr std::string_view table =
    "api_keys k "
    "LEFT JOIN users u ON u.id = k.owner AND u.organization_id = k.organization_id "
    "LEFT JOIN service_accounts s ON s.id = k.owner AND s.organization_id = k.organization_id "
    "LEFT JOIN project_users m ON m.user_id = k.owner AND m.project_id = k.project_id";

ListedKey parse_key(const db::Row& row) {
  ListedKey key{.id = row.get<KeyId>(0),
                .name = row.get<std::string>(1),
                .redacted_value = row.get<std::string>(2),
                .created_at = row.get<UnixSeconds>(3),
                .last_used_at = row.get<std::optional<UnixSeconds>>(4)};
  ListedKey::KeyOwner& owner = key.owner;
  owner.kind = parse_owner_kind(row.get<std::string_view>(5));
  owner.id = row.get<std::string>(6);
  owner.name = row.get<std::string>(7);
  owner.email = row.get<std::string>(8);
  owner.since = row.get<UnixSeconds>(9);
  if (!row.is_null(10)) owner.role = parse_organization_role(row.get<std::string_view>(10));
  if (row.get<bool>(12)) owner.role = OrganizationRole::owner;
  owner.project_role = owner.role == OrganizationRole::owner
                           ? ProjectRole::owner
                           : parse_project_role(row.get<std::string_view>(11));
  return key;
}

PagedSelect select_keys(const Tenant& tenant) {
  PagedSelect select(columns, table, {"k.created_at", "k.sequence"});
  select.where("k.organization_id = {}", tenant.organization)
      .where("k.project_id = {}", tenant.project)
      .where("k.kind IN ('project', 'service_account') AND k.revoked_at IS NULL", {});
  return select;
}

PagedSelect select_admin_keys(const OrganizationId& organization) {
  PagedSelect select(columns, table, {"k.created_at", "k.sequence"});
  select.where("k.organization_id = {}", organization).where("k.kind = 'admin' AND k.revoked_at IS NULL", {});
  return select;
}

ListedKey get_one(db::Connection& connection, PagedSelect select, const KeyId& id) {
  select.where("k.id = {}", id);
  Page<ListedKey> found = select.read<ListedKey>(connection, {.limit = 1}, "k.id", std::nullopt, parse_key);
  if (found.items.empty())
    throw ApiError::not_found(fmt::format("No API key with the id '{}' was found.", id.str()), "key_id");
  return std::move(found.items[0]);
}

// Whoever asks for a key may have been deleted since the request was let in.
void check_owner(db::Connection& connection, const OrganizationId& organization, const OwnerId& owner) {
  const db::Rows rows =
      connection.query(owner.kind == OwnerKind::user
                           ? "SELECT id FROM users WHERE id = $1 AND organization_id = $2"
                           : "SELECT id FROM service_accounts WHERE id = $1 AND organization_id = $2",
                       {owner.id, organization});
  if (rows.empty())
    throw ApiError::unauthenticated("invalid_api_key", "The owner of this API key was deleted.");
}

NewAuditLog event_of(std::string_view type, const KeyId& key, std::optional<ProjectId> project,
                     std::string_view project_name, json::object details) {
  details["id"] = key.str();
  return {.type = type,
          .project = std::move(project),
          .project_name = std::string(project_name),
          .resources = {key.str()},
          .details = json::write(std::move(details))};
}

}  // namespace

Task<Page<ListedKey>> KeyDirectory::list(Tenant tenant, PageRequest request) {
  auto page = co_await database_.read(
      [tenant = std::move(tenant), request = std::move(request)](db::Connection& connection) {
        Projects::get_in(connection, tenant.organization, tenant.project);
        return select_keys(tenant).read<ListedKey>(connection, request, "k.id", request.after, parse_key);
      });
  for (ListedKey& key : page.items)
    key = with_use(std::move(key));
  co_return page;
}

Task<ListedKey> KeyDirectory::get(Tenant tenant, KeyId id) {
  co_return with_use(
      co_await database_.read([tenant = std::move(tenant), id = std::move(id)](db::Connection& connection) {
        Projects::get_in(connection, tenant.organization, tenant.project);
        return get_one(connection, select_keys(tenant), id);
      }));
}

Task<void> KeyDirectory::revoke(Actor actor, ProjectId project_id, KeyId id) {
  co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const Project project = Projects::get_in(connection, actor.organization, project_id);
    const ListedKey key = get_one(connection, select_keys({actor.organization, project_id}), id);
    if (key.owner.kind == OwnerKind::service_account) {
      throw ApiError::invalid_request(
          "service_account_key",
          "The key belongs to a service account; it ends when the service account is deleted.", "key_id");
    }
    Keys::revoke_in(connection, clock_, actor.organization, id);
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         event_of("api_key.deleted", id, project_id, project.name, {}));
  });
}

Task<Page<ListedKey>> KeyDirectory::list_admin(OrganizationId organization, PageRequest request) {
  auto page = co_await database_.read(
      [organization = std::move(organization), request = std::move(request)](db::Connection& connection) {
        return select_admin_keys(organization)
            .read<ListedKey>(connection, request, "k.id", request.after, parse_key);
      });
  for (ListedKey& key : page.items)
    key = with_use(std::move(key));
  co_return page;
}

Task<ListedKey> KeyDirectory::get_admin(OrganizationId organization, KeyId id) {
  co_return with_use(co_await database_.read(
      [organization = std::move(organization), id = std::move(id)](db::Connection& connection) {
        return get_one(connection, select_admin_keys(organization), id);
      }));
}

Task<CreatedAdminKey> KeyDirectory::create_admin(Actor actor, OwnerId owner, std::string name) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    check_owner(connection, actor.organization, owner);
    CreatedKey created =
        create_in(connection, clock_, ids_, actor,
                  {actor.organization, std::nullopt, KeyKind::admin, name, owner.kind, owner.id}, "");
    return CreatedAdminKey{get_one(connection, select_admin_keys(actor.organization), created.record.id),
                           std::move(created.secret)};
  });
}

Task<void> KeyDirectory::revoke_admin(Actor actor, KeyId id) {
  co_await database_.write(actor.organization, [&](db::Connection& connection) {
    get_one(connection, select_admin_keys(actor.organization), id);
    Keys::revoke_in(connection, clock_, actor.organization, id);
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         event_of("api_key.deleted", id, std::nullopt, "", {}));
  });
}

void KeyDirectory::revoke_owned_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                                   const Actor& actor, const OwnerId& owner,
                                   const std::optional<ProjectId>& project) {
  const db::Rows keys = connection.query(
      "SELECT k.id, k.project_id, p.name, k.kind FROM api_keys k LEFT JOIN projects p ON p.id = k.project_id "
      "WHERE k.organization_id = $1 AND k.owner = $2 AND k.owner_kind = $3 AND k.revoked_at IS NULL "
      "ORDER BY k.created_at, k.sequence",
      {actor.organization, owner.id, kind_name(owner.kind)});
  for (const db::Row row : keys) {
    const auto at = row.get<std::optional<ProjectId>>(1);
    if (project && at != project) continue;
    const auto id = row.get<KeyId>(0);
    Keys::revoke_in(connection, clock, actor.organization, id);
    if (row.get<std::string_view>(3) == "ephemeral") continue;  // nobody was told of its beginning either
    AuditLogs::append_in(
        connection, clock, ids, actor,
        event_of("api_key.deleted", id, at, row.get<std::optional<std::string>>(2).value_or(""), {}));
  }
}

CreatedKey KeyDirectory::create_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                                   const Actor& actor, NewKey key, std::string_view project_name) {
  CreatedKey created = Keys::create_in(connection, clock, ids, std::move(key));
  AuditLogs::append_in(connection, clock, ids, actor,
                       event_of("api_key.created", created.record.id, created.record.project, project_name,
                                {{"data", {{"scopes", json::array()}}}}));
  return created;
}

ListedKey KeyDirectory::with_use(ListedKey key) {
  if (const auto used = keys_.find_unsaved_use(key.id)) {
    if (!key.last_used_at || *key.last_used_at < *used) key.last_used_at = used;
  }
  return key;
}

}  // namespace hearth::store
