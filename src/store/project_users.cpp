#include "store/project_users.hpp"

#include "store/columns.hpp"
#include "store/key_directory.hpp"

namespace hearth::store {
namespace {

using contract::ProjectRole;

constexpr Columns members{
    {.table = "project_users",
     .missing = Rule::member_exists,
     .id = "user_id",
     .time = "added_at",
     .join = "project_users m JOIN users u ON u.id = m.user_id AND u.organization_id = m.organization_id",
     .prefix = "m."},
    Column{"u.id", &ProjectUser::id},
    Column{"u.name", &ProjectUser::name},
    Column{"u.email", &ProjectUser::email},
    Column{"m.role", &ProjectUser::role},
    Column{"m.added_at", &ProjectUser::added_at}};

}  // namespace

Task<Outcome<Page<ProjectUser>>> ProjectUsers::list(Tenant tenant, PageRequest page) {
  co_return co_await changes_.look([&](db::Connection& connection) {
    Projects::require_active_in(connection, tenant);
    return members.list(connection, tenant, page);
  });
}

Task<Outcome<ProjectUser>> ProjectUsers::get(Tenant tenant, UserId id) {
  co_return co_await changes_.look([&](db::Connection& connection) {
    Projects::require_in(connection, tenant.organization, tenant.project);
    return members.get(connection, tenant, id);
  });
}

Task<Outcome<ProjectUser>> ProjectUsers::add(Actor actor, ProjectId project, UserId user, ProjectRole role) {
  co_return co_await changes_.make(actor, project, [&](Change& change) {
    if (select(change, "id", "users", within(actor.organization, {{"id", user}})).empty())
      refuse(Rule::user_exists, user.str());
    if (members.find(change, change.tenant(), user)) refuse(Rule::member_is_new, user.str());
    add_in(change, user, role);
    return members.get(change, change.tenant(), user);
  });
}

void ProjectUsers::add_in(Change& change, const UserId& user, ProjectRole role) {
  members.insert_row(change, change.tenant(),
                     {{"user_id", user}, {"role", role_name(role)}, {"added_at", change.now}});
  change.note("user.added", user.str(), {{"data", {{"role", role_name(role)}}}});
}

Task<Outcome<ProjectUser>> ProjectUsers::modify_role(Actor actor, ProjectId project, UserId user,
                                                     ProjectRole role) {
  co_return co_await changes_.make(actor, project, [&](Change& change) {
    ProjectUser member = members.get(change, change.tenant(), user);
    if (member.role == role) return member;
    member.role = role;
    members.update(change, change.tenant(), user, {{"role", role_name(role)}});
    change.note("user.updated", user.str(), {{"changes_requested", {{"role", role_name(role)}}}});
    return member;
  });
}

Task<Outcome<void>> ProjectUsers::remove(Actor actor, ProjectId project, UserId user) {
  co_return co_await changes_.make(actor, project, [&](Change& change) {
    members.get(change, change.tenant(), user);
    KeyDirectory::revoke_owned_in(change, change.clock, change.ids, actor, {OwnerKind::user, user.str()},
                                  project);
    members.erase(change, change.tenant(), user);
    change.note("user.deleted", user.str());
  });
}

}  // namespace hearth::store
