#include "store/project_users.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "json/json.hpp"
#include "store/access_epoch.hpp"
#include "store/key_directory.hpp"
#include "store/roles.hpp"
#include "store/sequence.hpp"

namespace hearth::store {
namespace {

using contract::ProjectRole;

constexpr std::string_view columns =
    "u.id, u.name, u.email, m.role, m.added_at";  // as parse_member reads them
constexpr std::string_view table =
    "project_users m JOIN users u ON u.id = m.user_id AND u.organization_id = m.organization_id";

ProjectUser parse_member(const db::Row& row) {
  return {.id = row.get<UserId>(0),
          .name = row.get<std::string>(1),
          .email = row.get<std::string>(2),
          .role = parse_project_role(row.get<std::string_view>(3)),
          .added_at = row.get<UnixSeconds>(4)};
}

std::optional<ProjectUser> find_in(db::Connection& connection, const Tenant& tenant, const UserId& id) {
  const db::Rows rows = connection.query(
      fmt::format("SELECT {} FROM {} WHERE m.organization_id = $1 AND m.project_id = $2 AND m.user_id = $3",
                  columns, table),
      {tenant.organization, tenant.project, id});
  if (rows.empty()) return std::nullopt;
  return parse_member(rows[0]);
}

ProjectUser get_in(db::Connection& connection, const Tenant& tenant, const UserId& id) {
  auto member = find_in(connection, tenant, id);
  if (!member) {
    throw ApiError::not_found(fmt::format("No user with the id '{}' was found in the project.", id.str()),
                              "user_id");
  }
  return std::move(*member);
}

NewAuditLog event_of(std::string_view type, const Project& project, const UserId& user,
                     json::object details) {
  details["id"] = user.str();
  return {.type = type,
          .project = project.id,
          .project_name = project.name,
          .resources = {user.str(), project.id.str()},
          .details = json::write(std::move(details))};
}

}  // namespace

Task<Page<ProjectUser>> ProjectUsers::list(Tenant tenant, PageRequest page) {
  co_return co_await database_.read([tenant = std::move(tenant),
                                     page = std::move(page)](db::Connection& connection) {
    Projects::get_active_in(connection, tenant);
    PagedSelect select(columns, table, {"m.added_at", "m.sequence"});
    select.where("m.organization_id = {}", tenant.organization).where("m.project_id = {}", tenant.project);
    return select.read<ProjectUser>(connection, page, "m.user_id", page.after, parse_member);
  });
}

Task<ProjectUser> ProjectUsers::get(Tenant tenant, UserId id) {
  co_return co_await database_.read(
      [tenant = std::move(tenant), id = std::move(id)](db::Connection& connection) {
        Projects::get_in(connection, tenant.organization, tenant.project);
        return get_in(connection, tenant, id);
      });
}

Task<ProjectUser> ProjectUsers::add(Actor actor, ProjectId project_id, UserId user, ProjectRole role) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const Tenant tenant{actor.organization, project_id};
    const Project project = Projects::get_active_in(connection, tenant);
    const db::Rows known = connection.query("SELECT id FROM users WHERE id = $1 AND organization_id = $2",
                                            {user, actor.organization});
    if (known.empty())
      throw ApiError::not_found(fmt::format("No user with the id '{}' was found.", user.str()), "user_id");
    if (find_in(connection, tenant, user)) {
      throw ApiError::invalid_request("already_member", "The user is a member of the project already.",
                                      "user_id");
    }
    add_in(connection, clock_, ids_, actor, project, user, role);
    return get_in(connection, tenant, user);
  });
}

void ProjectUsers::add_in(db::Connection& connection, const Clock& clock, IdSource& ids, const Actor& actor,
                          const Project& project, const UserId& user, ProjectRole role) {
  connection.execute(
      "INSERT INTO project_users (organization_id, project_id, user_id, role, added_at, sequence) "
      "VALUES ($1, $2, $3, $4, $5, $6)",
      {actor.organization, project.id, user, role_name(role), clock.unix_now(),
       next_sequence(connection, {actor.organization, project.id}, "project_users")});
  AuditLogs::append_in(connection, clock, ids, actor,
                       event_of("user.added", project, user, {{"data", {{"role", role_name(role)}}}}));
}

Task<ProjectUser> ProjectUsers::modify_role(Actor actor, ProjectId project_id, UserId user,
                                            ProjectRole role) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const Tenant tenant{actor.organization, project_id};
    const Project project = Projects::get_active_in(connection, tenant);
    ProjectUser member = get_in(connection, tenant, user);
    if (member.role == role) return member;
    member.role = role;
    connection.execute(
        "UPDATE project_users SET role = $1 WHERE organization_id = $2 AND project_id = $3 AND user_id = $4",
        {role_name(role), actor.organization, project_id, user});
    AuditLogs::append_in(
        connection, clock_, ids_, actor,
        event_of("user.updated", project, user, {{"changes_requested", {{"role", role_name(role)}}}}));
    return member;
  });
}

Task<void> ProjectUsers::remove(Actor actor, ProjectId project_id, UserId user) {
  co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const Tenant tenant{actor.organization, project_id};
    const Project project = Projects::get_active_in(connection, tenant);
    get_in(connection, tenant, user);
    KeyDirectory::revoke_owned_in(connection, clock_, ids_, actor, {OwnerKind::user, user.str()}, project_id);
    connection.execute(
        "DELETE FROM project_users WHERE organization_id = $1 AND project_id = $2 AND user_id = $3",
        {actor.organization, project_id, user});
    AuditLogs::append_in(connection, clock_, ids_, actor, event_of("user.deleted", project, user, {}));
  });
}

}  // namespace hearth::store
