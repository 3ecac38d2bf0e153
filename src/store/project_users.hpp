// Who belongs to a project.
//
// ApiErrors: not_found for a project, a user or a member that the organization does not have;
// project_archived for every change in an archived project, and for its list.
#pragma once

#include <string>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/principal.hpp"
#include "db/database.hpp"
#include "store/audit_logs.hpp"
#include "store/page.hpp"
#include "store/projects.hpp"
#include "store/tenant.hpp"

namespace hearth::store {

struct ProjectUser {
  UserId id;
  std::string name;
  std::string email;
  contract::ProjectRole role = contract::ProjectRole::member;
  UnixSeconds added_at = 0;
};

// Thread: any.
class ProjectUsers {
 public:
  ProjectUsers(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  // In the order of joining. ApiError 400 when `page.after` is not in the list.
  Task<Page<ProjectUser>> list(Tenant tenant, PageRequest page);
  Task<ProjectUser> get(Tenant tenant, UserId id);

  // ApiError 400 already_member with param `user_id`.
  Task<ProjectUser> add(Actor actor, ProjectId project, UserId user, contract::ProjectRole role);
  // For who writes more in the same transaction: an active project, a user who is not in it. Thread: the
  // database's.
  static void add_in(db::Connection& connection, const Clock& clock, IdSource& ids, const Actor& actor,
                     const Project& project, const UserId& user, contract::ProjectRole role);
  // The role that it has already is fine.
  Task<ProjectUser> modify_role(Actor actor, ProjectId project, UserId user, contract::ProjectRole role);
  // Revokes the keys that the user has in the project.
  Task<void> remove(Actor actor, ProjectId project, UserId user);

 private:
  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::store
