#include "store/projects.hpp"

#include "base/api_error.hpp"
#include "base/log.hpp"

namespace hearth::store {
namespace {

std::optional<Project> parse_first(const db::Rows& rows) {
  if (rows.empty()) return std::nullopt;
  const db::Row row = rows[0];
  const bool active = row.get<std::string_view>(3) == "active";
  return Project{.id = row.get<ProjectId>(0),
                 .organization = row.get<OrganizationId>(1),
                 .name = row.get<std::string>(2),
                 .status = active ? ProjectStatus::active : ProjectStatus::archived,
                 .is_default = row.get<bool>(4),
                 .created_at = row.get<UnixSeconds>(5)};
}

}  // namespace

Task<std::optional<Project>> Projects::find(OrganizationId organization, ProjectId id) {
  co_return co_await database_.read(
      [organization = std::move(organization), id = std::move(id)](db::Connection& connection) {
        return parse_first(
            connection.query("SELECT id, organization_id, name, status, is_default, created_at FROM projects "
                             "WHERE id = $1 AND organization_id = $2",
                             {id, organization}));
      });
}

Task<Project> Projects::get_default(OrganizationId organization) {
  auto found = co_await database_.read([organization](db::Connection& connection) {
    return parse_first(
        connection.query("SELECT id, organization_id, name, status, is_default, created_at FROM projects "
                         "WHERE organization_id = $1 AND is_default = 1",
                         {organization}));
  });
  if (!found) {
    log::error("store.default_project_missing", {{"organization", organization.str()}});
    throw ApiError::internal();
  }
  co_return std::move(*found);
}

}  // namespace hearth::store
