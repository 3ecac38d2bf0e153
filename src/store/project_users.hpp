// The members of a project.
//
// Refusals: project_exists, user_exists, member_exists; project_is_active for every change in an archived
// project, and for its list.
#pragma once

#include <string>

#include "contract/principal.hpp"
#include "store/change.hpp"
#include "store/page.hpp"

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
  ProjectUsers(db::Database& database, const Clock& clock, IdSource& ids) : changes_(database, clock, ids) {}

  // In the order of joining. ApiError 400 when `page.after` is not in the list.
  Task<Outcome<Page<ProjectUser>>> list(Tenant tenant, PageRequest page);
  Task<Outcome<ProjectUser>> get(Tenant tenant, UserId id);

  // Refusal member_is_new for a member of the project.
  Task<Outcome<ProjectUser>> add(Actor actor, ProjectId project, UserId user, contract::ProjectRole role);
  // For who writes more in the same transaction: in the change's project, a user who is not in it.
  static void add_in(Change& change, const UserId& user, contract::ProjectRole role);
  // The role that it has already is fine.
  Task<Outcome<ProjectUser>> modify_role(Actor actor, ProjectId project, UserId user,
                                         contract::ProjectRole role);
  // Revokes the keys that the user has in the project.
  Task<Outcome<void>> remove(Actor actor, ProjectId project, UserId user);

 private:
  Changes changes_;
};

}  // namespace hearth::store
