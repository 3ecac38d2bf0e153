// Members of a project that are no people: programs, with keys of their own.
//
// ApiErrors: not_found for a project or an account that the organization does not have; project_archived for
// every change in an archived project, and for its list.
#pragma once

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

struct ServiceAccount {
  ServiceAccountId id;
  std::string name;
  contract::ProjectRole role = contract::ProjectRole::member;
  UnixSeconds created_at = 0;
};

struct CreatedServiceAccount {
  ServiceAccount account;
  CreatedKey key;
};

// Thread: any.
class ServiceAccounts {
 public:
  ServiceAccounts(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  // In the order of creation. ApiError 400 when `page.after` is not in the list.
  Task<Page<ServiceAccount>> list(Tenant tenant, PageRequest page);
  Task<ServiceAccount> get(Tenant tenant, ServiceAccountId id);

  // A member of the project, with a key.
  Task<CreatedServiceAccount> create(Actor actor, ProjectId project, std::string name);
  // Revokes its keys.
  Task<void> remove(Actor actor, ProjectId project, ServiceAccountId id);

 private:
  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::store
