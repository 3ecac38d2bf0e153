// What a person has: the projects that it belongs to, and its own API keys in them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/principal.hpp"
#include "db/database.hpp"
#include "store/audit_logs.hpp"
#include "store/keys.hpp"
#include "store/users.hpp"

namespace hearth::store {

struct PersonalProject {
  ProjectId id;
  std::string name;
  contract::ProjectRole role = contract::ProjectRole::member;
};

struct PersonalKey {
  KeyId id;
  std::string name;
  std::string project_name;
  std::string redacted_value;
  UnixSeconds created_at = 0;
  std::optional<UnixSeconds> last_used_at;
};

// Thread: any.
class PersonalKeys {
 public:
  PersonalKeys(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  // Active ones, by name. An owner of the organization may work in all of them, as an owner.
  Task<std::vector<PersonalProject>> projects(User user);
  // Keys of projects that are not revoked, the newest first.
  Task<std::vector<PersonalKey>> keys(User user);
  // For the user that `actor` is. nullopt where it has no such project. Audit event api_key.created.
  Task<std::optional<CreatedKey>> create(Actor actor, ProjectId project, std::string name);
  // False where the actor has no such key (any more). Audit event api_key.deleted.
  Task<bool> revoke(Actor actor, KeyId id);

  // Thread: the database's.
  static std::vector<PersonalProject> projects_in(db::Connection& connection,
                                                  const OrganizationId& organization, const UserId& user);

 private:
  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::store
