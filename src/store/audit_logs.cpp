#include "store/audit_logs.hpp"

#include "store/access_epoch.hpp"
#include "store/sequence.hpp"

namespace hearth::store {

void AuditLogs::append_in(db::Connection& connection, const Clock& clock, IdSource& ids, const Actor& actor,
                          const NewAuditLog& event) {
  const std::int64_t sequence = next_sequence(connection, actor.organization, "audit_logs");
  const UnixSeconds now = clock.unix_now();
  const bool by_session = actor.type == ActorType::session;
  const bool by_user = actor.owner_kind == contract::OwnerKind::user;
  const std::optional<std::string> project_name =
      event.project ? std::optional(event.project_name) : std::nullopt;
  connection.execute(
      "INSERT INTO audit_logs (organization_id, sequence, id, effective_at, type, project_id, project_name, "
      "actor_type, actor_key_id, actor_owner_kind, actor_id, actor_email, ip_address, user_agent, details) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
      {actor.organization, sequence, ids.make("audit_log-"), now, event.type, event.project, project_name,
       by_session ? "session" : "api_key", actor.key, by_user ? "user" : "service_account", actor.id,
       actor.email, actor.address, actor.user_agent, event.details});
  for (const std::string& resource : event.resources) {
    connection.execute(
        "INSERT INTO audit_log_resources (organization_id, resource_id, effective_at, sequence) "
        "VALUES ($1, $2, $3, $4) ON CONFLICT (organization_id, resource_id, effective_at, sequence) DO "
        "NOTHING",
        {actor.organization, resource, now, sequence});
  }
  AccessEpoch::advance_in(connection);
}

}  // namespace hearth::store
