// The audit log: who changed what, when and from where. Append-only: nothing here changes or deletes a row.
//
// Events say what happened: joining the organization or a project is user.added, another role there is
// user.updated, leaving is user.deleted; the event's project, or its absence, tells which of the two it was.
// Each key that ends with its owner has its own api_key.deleted; memberships that end with their user have
// none. Accepting an invite is user.added for the organization and for each project, then invite.accepted,
// all by the new user.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/principal.hpp"
#include "db/database.hpp"
#include "store/page.hpp"

namespace hearth::store {

// How the actor proved its identity.
enum class ActorType { session, api_key };

// The actor of a change. From a request: api::actor_of(call). The command line acts as the owner of the
// machine: a session of the user that it acts for, without an address.
struct Actor {
  OrganizationId organization;
  ActorType type = ActorType::api_key;
  std::optional<KeyId> key;  // set for api_key
  contract::OwnerKind owner_kind = contract::OwnerKind::user;
  std::string id;     // of the user or the service account; empty for whoever failed to log in
  std::string email;  // empty for service accounts
  std::string address;
  std::string user_agent;
};

struct NewAuditLog {
  std::string_view type;  // "project.created", as the API names it
  // The project that the event is about or happens in.
  std::optional<ProjectId> project;
  std::string project_name;
  // What was changed: the filter `resource_ids` finds the event by any of them.
  std::vector<std::string> resources;
  // JSON: the member of the API's audit log object that is named like the type, `{"id": …, "data": {…}}`.
  std::string details = "{}";
};

struct AuditLog {
  AuditLogId id;
  UnixSeconds effective_at = 0;
  std::string type;
  std::optional<ProjectId> project;
  std::string project_name;
  Actor actor;
  std::string details;  // as in NewAuditLog
};

// Several values of one list are alternatives; an empty list asks for nothing. All that is asked for holds.
struct AuditLogFilter {
  UnixSeconds from = 0;  // inclusive, like `to`
  UnixSeconds to = std::numeric_limits<UnixSeconds>::max() - 1;
  std::vector<std::string> projects;
  std::vector<std::string> types;
  std::vector<std::string> actor_ids;
  std::vector<std::string> actor_emails;
  std::vector<std::string> resources;
};

// The list goes from the newest to the oldest. `after`: the page begins behind this event; `before` alone: it
// ends in front of this one; both: what lies between, from `after` on.
struct AuditLogRange {
  std::optional<std::string> after;
  std::optional<std::string> before;
  std::size_t limit = 20;
};

// Thread: any.
class AuditLogs {
 public:
  explicit AuditLogs(db::Database& database) : database_(database) {}

  // In the transaction of the change that it tells of, so that neither exists without the other; advances the
  // access epoch, except for logins and logouts. Thread: the database's, inside write().
  static void append_in(db::Connection& connection, const Clock& clock, IdSource& ids, const Actor& actor,
                        const NewAuditLog& event);

  // An id of `range` that is no event of the organization: ApiError 400 with param `after` or `before`.
  Task<Page<AuditLog>> list(OrganizationId organization, AuditLogFilter filter, AuditLogRange range);

 private:
  db::Database& database_;
};

}  // namespace hearth::store
