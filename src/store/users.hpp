// The people of an organization.
//
// Changes are refused with ApiErrors where a rule does not hold at the commit: not_found, user_exists (one
// user for an email address, in whatever case its letters are), last_owner (somebody must be able to change
// the organization).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/principal.hpp"
#include "db/database.hpp"
#include "store/audit_logs.hpp"
#include "store/page.hpp"

namespace hearth::store {

struct User {
  UserId id;
  OrganizationId organization;
  std::string email;  // as given
  std::string name;
  contract::OrganizationRole role = contract::OrganizationRole::reader;
  UnixSeconds added_at = 0;
};

struct NewUser {
  std::string email;
  std::string name;
  contract::OrganizationRole role = contract::OrganizationRole::reader;
  std::optional<std::string> password_hash;  // without one nobody can log in as the user
};

// What addresses are compared by: ASCII letters in lower case, everything else as it is.
std::string email_key(std::string_view email);

// Thread: any.
class Users {
 public:
  Users(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  Task<std::optional<User>> find(OrganizationId organization, UserId id);
  // ApiError 404 when the organization has no such user.
  Task<User> get(OrganizationId organization, UserId id);
  Task<std::optional<User>> find_by_email(OrganizationId organization, std::string email);
  // In the order of joining; with `emails`, those who have one of them. ApiError 400 when `page.after` is not
  // in the list.
  Task<Page<User>> list(OrganizationId organization, std::vector<std::string> emails, PageRequest page);

  // An actor without an id becomes the new user: whoever joins by an invite or is the first owner.
  Task<User> add(Actor actor, NewUser user);
  // For who writes more in the same transaction. Thread: the database's.
  static User add_in(db::Connection& connection, const Clock& clock, IdSource& ids, Actor actor,
                     NewUser user);

  // The role that it has already is fine.
  Task<User> modify_role(Actor actor, UserId id, contract::OrganizationRole role);
  // With its memberships, keys, sessions and links.
  Task<void> remove(Actor actor, UserId id);

  // nullopt when there is no such user or it has no password.
  Task<std::optional<std::string>> find_password_hash(OrganizationId organization, UserId id);
  // Ends the user's sessions. False when there is no such user.
  Task<bool> set_password_hash(OrganizationId organization, UserId id, std::string hash);

 private:
  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::store
