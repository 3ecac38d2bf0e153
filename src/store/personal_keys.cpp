#include "store/personal_keys.hpp"

#include <algorithm>

#include "json/json.hpp"
#include "store/access_epoch.hpp"
#include "store/key_directory.hpp"
#include "store/roles.hpp"

namespace hearth::store {

Task<std::vector<PersonalProject>> PersonalKeys::projects(User user) {
  co_return co_await database_.read([user = std::move(user)](db::Connection& connection) {
    return projects_in(connection, user.organization, user.id);
  });
}

std::vector<PersonalProject> PersonalKeys::projects_in(db::Connection& connection,
                                                       const OrganizationId& organization,
                                                       const UserId& user) {
  const db::Rows rows = connection.query(
      "SELECT p.id, p.name, CASE WHEN u.role = 'owner' THEN 'owner' ELSE m.role END FROM users u "
      "JOIN projects p ON p.organization_id = u.organization_id AND p.status = 'active' "
      "LEFT JOIN project_users m ON m.project_id = p.id AND m.user_id = u.id "
      "WHERE u.id = $1 AND u.organization_id = $2 AND (u.role = 'owner' OR m.role IS NOT NULL) "
      "ORDER BY p.name, p.id",
      {user, organization});
  std::vector<PersonalProject> projects;
  projects.reserve(rows.size());
  for (const db::Row row : rows) {
    projects.push_back(
        {row.get<ProjectId>(0), row.get<std::string>(1), parse_project_role(row.get<std::string_view>(2))});
  }
  return projects;
}

Task<std::vector<PersonalKey>> PersonalKeys::keys(User user) {
  co_return co_await database_.read([user = std::move(user)](db::Connection& connection) {
    const db::Rows rows = connection.query(
        "SELECT k.id, k.name, p.name, k.redacted_value, k.created_at, k.last_used_at FROM api_keys k "
        "JOIN projects p ON p.id = k.project_id AND p.status = 'active' "
        "WHERE k.organization_id = $1 AND k.owner = $2 AND k.owner_kind = 'user' AND k.kind = 'project' "
        "AND k.revoked_at IS NULL ORDER BY k.created_at DESC, k.sequence DESC",
        {user.organization, user.id});
    std::vector<PersonalKey> keys;
    keys.reserve(rows.size());
    for (const db::Row row : rows) {
      keys.push_back({row.get<KeyId>(0), row.get<std::string>(1), row.get<std::string>(2),
                      row.get<std::string>(3), row.get<UnixSeconds>(4),
                      row.get<std::optional<UnixSeconds>>(5)});
    }
    return keys;
  });
}

Task<std::optional<CreatedKey>> PersonalKeys::create(Actor actor, ProjectId project, std::string name) {
  co_return co_await database_.write(
      actor.organization, [&](db::Connection& connection) -> std::optional<CreatedKey> {
        const auto projects = projects_in(connection, actor.organization, UserId(actor.id));
        const auto found = std::ranges::find(projects, project, &PersonalProject::id);
        if (found == projects.end()) return std::nullopt;
        NewKey key{actor.organization, project, KeyKind::project, name, OwnerKind::user, actor.id};
        return KeyDirectory::create_in(connection, clock_, ids_, actor, std::move(key), found->name);
      });
}

Task<bool> PersonalKeys::revoke(Actor actor, KeyId id) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const db::Rows rows = connection.query(
        "SELECT p.id, p.name FROM api_keys k JOIN projects p ON p.id = k.project_id "
        "WHERE k.id = $1 AND k.organization_id = $2 AND k.owner = $3 AND k.owner_kind = 'user' "
        "AND k.kind = 'project' AND k.revoked_at IS NULL",
        {id, actor.organization, actor.id});
    if (rows.empty()) return false;
    Keys::revoke_in(connection, clock_, actor.organization, id);
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         {.type = "api_key.deleted",
                          .project = rows[0].get<ProjectId>(0),
                          .project_name = rows[0].get<std::string>(1),
                          .resources = {id.str()},
                          .details = json::write(json::value{{"id", id.str()}})});
    return true;
  });
}

}  // namespace hearth::store
