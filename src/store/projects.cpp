#include "store/projects.hpp"

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/log.hpp"
#include "json/json.hpp"
#include "store/access_epoch.hpp"
#include "store/refusal.hpp"
#include "store/sequence.hpp"

namespace hearth::store {
namespace {

constexpr std::string_view columns =
    "id, organization_id, name, status, is_default, created_at, archived_at";  // as parse_project reads them

Project parse_project(const db::Row& row) {
  const bool active = row.get<std::string_view>(3) == "active";
  return {.id = row.get<ProjectId>(0),
          .organization = row.get<OrganizationId>(1),
          .name = row.get<std::string>(2),
          .status = active ? ProjectStatus::active : ProjectStatus::archived,
          .is_default = row.get<bool>(4),
          .created_at = row.get<UnixSeconds>(5),
          .archived_at = row.get<std::optional<UnixSeconds>>(6)};
}

std::optional<Project> find_in(db::Connection& connection, const OrganizationId& organization,
                               const ProjectId& id) {
  const db::Rows rows =
      connection.query(fmt::format("SELECT {} FROM projects WHERE id = $1 AND organization_id = $2", columns),
                       {id, organization});
  if (rows.empty()) return std::nullopt;
  return parse_project(rows[0]);
}

NewAuditLog event_of(std::string_view type, const Project& project, json::object details) {
  details["id"] = project.id.str();
  return {.type = type,
          .project = project.id,
          .project_name = project.name,
          .resources = {project.id.str()},
          .details = json::write(std::move(details))};
}

void check_not_default(const Project& project, std::string_view what) {
  if (!project.is_default) return;
  throw ApiError::invalid_request("default_project",
                                  fmt::format("The default project of the organization cannot be {}.", what),
                                  "project_id");
}

}  // namespace

Task<std::optional<Project>> Projects::find(OrganizationId organization, ProjectId id) {
  co_return co_await database_.read(
      [organization = std::move(organization), id = std::move(id)](db::Connection& connection) {
        return find_in(connection, organization, id);
      });
}

Task<Project> Projects::get(OrganizationId organization, ProjectId id) {
  co_return co_await database_.read(
      [organization = std::move(organization), id = std::move(id)](db::Connection& connection) {
        return get_in(connection, organization, id);
      });
}

Task<Project> Projects::get_default(OrganizationId organization) {
  auto found = co_await database_.read([organization](db::Connection& connection) -> std::optional<Project> {
    const db::Rows rows = connection.query(
        fmt::format("SELECT {} FROM projects WHERE organization_id = $1 AND is_default = 1", columns),
        {organization});
    if (rows.empty()) return std::nullopt;
    return parse_project(rows[0]);
  });
  if (!found) {
    log::error("store.default_project_missing", {{"organization", organization.str()}});
    throw ApiError::internal();
  }
  co_return std::move(*found);
}

Task<Page<Project>> Projects::list(OrganizationId organization, ProjectsShown shown, PageRequest page) {
  co_return co_await database_.read(
      [organization = std::move(organization), shown, page = std::move(page)](db::Connection& connection) {
        PagedSelect select(columns, "projects", {"created_at", "sequence"});
        select.where("organization_id = {}", organization);
        if (shown == ProjectsShown::active) select.where("status = {}", "active");
        return select.read<Project>(connection, page, "id", page.after, parse_project);
      });
}

Task<Project> Projects::create(Actor actor, std::string name) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const Project project{.id = ProjectId(ids_.make("proj_")),
                          .organization = actor.organization,
                          .name = name,
                          .created_at = clock_.unix_now()};
    connection.execute(
        "INSERT INTO projects (id, organization_id, name, status, is_default, created_at, sequence) "
        "VALUES ($1, $2, $3, 'active', 0, $4, $5)",
        {project.id, project.organization, project.name, project.created_at,
         next_sequence(connection, project.organization, "projects")});
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         event_of("project.created", project, {{"data", {{"name", project.name}}}}));
    return project;
  });
}

Task<Project> Projects::rename(Actor actor, ProjectId id, std::string name) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    Project project = get_active_in(connection, {actor.organization, id});
    check_not_default(project, "renamed");
    if (project.name == name) return project;
    project.name = name;
    connection.execute("UPDATE projects SET name = $1 WHERE id = $2 AND organization_id = $3",
                       {name, id, actor.organization});
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         event_of("project.updated", project, {{"changes_requested", {{"title", name}}}}));
    return project;
  });
}

Task<Project> Projects::archive(Actor actor, ProjectId id) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    Project project = get_in(connection, actor.organization, id);
    check_not_default(project, "archived");
    if (project.status == ProjectStatus::archived) return project;
    project.status = ProjectStatus::archived;
    project.archived_at = clock_.unix_now();
    connection.execute(
        "UPDATE projects SET status = 'archived', archived_at = $1 WHERE id = $2 AND organization_id = $3",
        {project.archived_at, id, actor.organization});
    AuditLogs::append_in(connection, clock_, ids_, actor, event_of("project.archived", project, {}));
    return project;
  });
}

Project Projects::get_in(db::Connection& connection, const OrganizationId& organization,
                         const ProjectId& id) {
  auto project = find_in(connection, organization, id);
  if (!project)
    throw ApiError::not_found(fmt::format("No project with the id '{}' was found.", id.str()), "project_id");
  return std::move(*project);
}

Project Projects::get_active_in(db::Connection& connection, const Tenant& tenant) {
  Project project = get_in(connection, tenant.organization, tenant.project);
  if (project.status == ProjectStatus::archived) {
    throw ApiError::invalid_request(
        "project_archived",
        fmt::format("The project '{}' is archived; it cannot be used or changed any more.",
                    tenant.project.str()),
        "project_id");
  }
  return project;
}

Project Projects::require_in(db::Connection& connection, const OrganizationId& organization,
                             const ProjectId& id) {
  auto project = find_in(connection, organization, id);
  if (!project) refuse(Rule::project_exists, id.str());
  return std::move(*project);
}

Project Projects::require_active_in(db::Connection& connection, const Tenant& tenant) {
  Project project = require_in(connection, tenant.organization, tenant.project);
  if (project.status == ProjectStatus::archived) refuse(Rule::project_is_active, tenant.project.str());
  return project;
}

}  // namespace hearth::store
