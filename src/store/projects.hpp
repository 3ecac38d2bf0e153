// The projects of an organization.
//
// Changes are refused with ApiErrors where a rule does not hold at the commit: not_found, default_project (it
// keeps its name and is never archived), project_archived (for good: nothing in it changes any more, and its
// keys do not open).
#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"
#include "store/audit_logs.hpp"
#include "store/page.hpp"
#include "store/tenant.hpp"

namespace hearth::store {

enum class ProjectStatus { active, archived };

struct Project {
  ProjectId id;
  OrganizationId organization;
  std::string name;
  ProjectStatus status = ProjectStatus::active;
  bool is_default = false;
  UnixSeconds created_at = 0;
  std::optional<UnixSeconds> archived_at;
};

enum class ProjectsShown { active, all };

// Thread: any.
class Projects {
 public:
  Projects(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  Task<std::optional<Project>> find(OrganizationId organization, ProjectId id);
  // ApiError 404 when the organization has no such project.
  Task<Project> get(OrganizationId organization, ProjectId id);
  // Where an organization-wide key works when the request names no project. Every organization has one: its
  // absence is a fault of ours (ApiError 500).
  Task<Project> get_default(OrganizationId organization);
  // In the order of creation. ApiError 400 when `page.after` is not in the list.
  Task<Page<Project>> list(OrganizationId organization, ProjectsShown shown, PageRequest page);

  Task<Project> create(Actor actor, std::string name);
  Task<Project> rename(Actor actor, ProjectId id, std::string name);
  // Again: nothing happens.
  Task<Project> archive(Actor actor, ProjectId id);

  // For changes within the project: ApiError 404 as above, 400 project_archived. Thread: the database's.
  static Project get_in(db::Connection& connection, const OrganizationId& organization, const ProjectId& id);
  static Project get_active_in(db::Connection& connection, const Tenant& tenant);
  // The same, refused (see refusal.hpp) where it is not so.
  static Project require_in(db::Connection& connection, const OrganizationId& organization,
                            const ProjectId& id);
  static Project require_active_in(db::Connection& connection, const Tenant& tenant);

 private:
  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::store
