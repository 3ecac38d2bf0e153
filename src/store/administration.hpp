// The aggregates of an organization's administration, together: who works with one mostly needs another.
#pragma once

#include "store/invites.hpp"
#include "store/key_directory.hpp"
#include "store/keys.hpp"
#include "store/project_users.hpp"
#include "store/projects.hpp"
#include "store/service_accounts.hpp"
#include "store/users.hpp"

namespace hearth::store {

// Thread: any. Owned by app/.
struct Administration {
  Projects projects;
  Users users;
  Invites invites;
  ProjectUsers project_users;
  ServiceAccounts service_accounts;
  KeyDirectory keys;

  Administration(db::Database& database, Keys& secrets, const Clock& clock, IdSource& ids)
      : projects(database, clock, ids),
        users(database, clock, ids),
        invites(database, clock, ids),
        project_users(database, clock, ids),
        service_accounts(database, clock, ids),
        keys(database, secrets, clock, ids) {}
};

}  // namespace hearth::store
