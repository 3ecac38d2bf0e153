// API keys as administrators see them: listed with their owners, minted, revoked. Secrets are found by Keys.
//
// Keys that are revoked are not found; nor are ephemeral ones, which end by themselves. Changes are refused
// with ApiErrors where a rule does not hold at the commit.
#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/principal.hpp"
#include "db/database.hpp"
#include "store/audit_logs.hpp"
#include "store/keys.hpp"
#include "store/page.hpp"
#include "store/tenant.hpp"

namespace hearth::store {

// The owner of keys.
struct OwnerId {
  OwnerKind kind = OwnerKind::user;
  std::string id;
};

struct ListedKey {
  struct KeyOwner : OwnerId {
    std::string name;
    std::string email;  // of users
    // In the organization; `none` for service accounts, unless they administer.
    contract::OrganizationRole role = contract::OrganizationRole::none;
    // In the key's project. An owner of the organization counts as one of each project.
    contract::ProjectRole project_role = contract::ProjectRole::member;
    UnixSeconds since = 0;  // member of the key's project, or else of the organization
  };

  KeyId id;
  std::string name;
  std::string redacted_value;
  UnixSeconds created_at = 0;
  std::optional<UnixSeconds> last_used_at;  // to the minute
  KeyOwner owner;
};

struct CreatedAdminKey {
  ListedKey key;
  std::string secret;  // shown once, kept nowhere
};

// Thread: any.
class KeyDirectory {
 public:
  KeyDirectory(db::Database& database, Keys& keys, const Clock& clock, IdSource& ids)
      : database_(database), keys_(keys), clock_(clock), ids_(ids) {}

  // In the order of creation. ApiError 404 when there is no such project, 400 when `page.after` is not in the
  // list.
  Task<Page<ListedKey>> list(Tenant tenant, PageRequest page);
  // ApiError 404 when the project, of whatever state, has no such key.
  Task<ListedKey> get(Tenant tenant, KeyId id);
  // Only users' keys: a service account's key ends with the account (ApiError 400 service_account_key).
  Task<void> revoke(Actor actor, ProjectId project, KeyId id);

  Task<Page<ListedKey>> list_admin(OrganizationId organization, PageRequest page);
  Task<ListedKey> get_admin(OrganizationId organization, KeyId id);
  // For `owner`, a user or a service account that may administer.
  Task<CreatedAdminKey> create_admin(Actor actor, OwnerId owner, std::string name);
  Task<void> revoke_admin(Actor actor, KeyId id);

  // All keys of an owner, or those that it has in one project, with an event for each. Thread: the
  // database's.
  static void revoke_owned_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                              const Actor& actor, const OwnerId& owner,
                              const std::optional<ProjectId>& project = std::nullopt);
  // Creates a key and the event that tells of it. Thread: the database's.
  static CreatedKey create_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                              const Actor& actor, NewKey key, std::string_view project_name);

 private:
  // Fills in the uses that are not written yet.
  ListedKey with_use(ListedKey key);

  db::Database& database_;
  Keys& keys_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::store
