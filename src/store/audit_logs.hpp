// The audit log: who changed what, when and from where. Append-only: nothing here changes or deletes a row.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/principal.hpp"
#include "db/database.hpp"

namespace hearth::store {

// By what the actor proved who it is.
enum class ActorType { session, api_key };

// Who acts. From a request: api::actor_of(call). The command line acts as the owner of the machine: a session
// of the user that it acts for, without an address.
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

// Thread: any.
class AuditLogs {
 public:
  explicit AuditLogs(db::Database& database) : database_(database) {}

  // In the transaction of the change that it tells of, so that neither exists without the other; advances the
  // access epoch. Thread: the database's, inside write().
  static void append_in(db::Connection& connection, const Clock& clock, IdSource& ids, const Actor& actor,
                        const NewAuditLog& event);

 private:
  db::Database& database_;
};

}  // namespace hearth::store
