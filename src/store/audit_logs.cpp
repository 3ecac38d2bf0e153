#include "store/audit_logs.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "store/access_epoch.hpp"
#include "store/audit_log_search.hpp"
#include "store/roles.hpp"
#include "store/sequence.hpp"

namespace hearth::store {
namespace {

constexpr UnixSeconds end_of_time = std::numeric_limits<UnixSeconds>::max();

AuditLog parse_event(const OrganizationId& organization, const db::Row& row) {
  AuditLog event{.id = row.get<AuditLogId>(0),
                 .effective_at = row.get<UnixSeconds>(1),
                 .type = row.get<std::string>(2),
                 .project = row.get<std::optional<ProjectId>>(3),
                 .project_name = row.get<std::optional<std::string>>(4).value_or(""),
                 .details = row.get<std::string>(12)};
  event.actor = {.organization = organization,
                 .type = row.get<std::string_view>(5) == "session" ? ActorType::session : ActorType::api_key,
                 .key = row.get<std::optional<KeyId>>(6),
                 .owner_kind = parse_owner_kind(row.get<std::string_view>(7)),
                 .id = row.get<std::string>(8),
                 .email = row.get<std::string>(9),
                 .address = row.get<std::string>(10),
                 .user_agent = row.get<std::string>(11)};
  return event;
}

AuditPlace place_of(db::Connection& connection, const OrganizationId& organization, const std::string& id,
                    std::string_view parameter) {
  const db::Rows rows =
      connection.query("SELECT effective_at, sequence FROM audit_logs WHERE id = $1 AND organization_id = $2",
                       {id, organization});
  if (rows.empty()) {
    throw ApiError::invalid_request(
        "invalid_value", fmt::format("No object of this list has the id '{}'.", id), std::string(parameter));
  }
  return {rows[0].get<UnixSeconds>(0), rows[0].get<std::int64_t>(1)};
}

Page<AuditLog> read_page(db::Connection& connection, const OrganizationId& organization,
                         const AuditLogFilter& filter, const AuditLogRange& range) {
  // Sequences begin with 1: a place with 0 is the edge of its second.
  AuditSpan span{{filter.from, 0}, {filter.to < end_of_time ? filter.to + 1 : end_of_time, 0}};
  if (range.after) span.high = std::min(span.high, place_of(connection, organization, *range.after, "after"));
  if (range.before)
    span.low = std::max(span.low, place_of(connection, organization, *range.before, "before"));
  const Order order = range.before && !range.after ? Order::ascending : Order::descending;
  AuditLogSearch search(connection, organization, filter);
  auto places = search.find(span, order, range.limit + 1);  // one more tells whether there is more
  Page<AuditLog> page;
  page.has_more = places.size() > range.limit;
  if (page.has_more) places.pop_back();
  if (order == Order::ascending) std::ranges::reverse(places);
  page.items.reserve(places.size());
  for (const AuditPlace& place : places) {
    const db::Rows rows = connection.query(
        "SELECT id, effective_at, type, project_id, project_name, actor_type, actor_key_id, "
        "actor_owner_kind, "
        "actor_id, actor_email, ip_address, user_agent, details FROM audit_logs "
        "WHERE organization_id = $1 AND sequence = $2",
        {organization, place.sequence});
    if (!rows.empty()) page.items.push_back(parse_event(organization, rows[0]));
  }
  return page;
}

}  // namespace

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
        "INSERT INTO audit_log_resources (organization_id, resource_id, type, effective_at, sequence) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, resource_id, effective_at, sequence) DO "
        "NOTHING",
        {actor.organization, resource, event.type, now, sequence});
  }
  // Logins and logouts change nobody's rights, and strangers must not be able to empty the caches.
  const bool is_login = event.type.starts_with("login.") || event.type.starts_with("logout.");
  if (!is_login) AccessEpoch::advance_in(connection, actor.organization);
}

Task<Page<AuditLog>> AuditLogs::list(OrganizationId organization, AuditLogFilter filter,
                                     AuditLogRange range) {
  co_return co_await database_.read(
      [&](db::Connection& connection) { return read_page(connection, organization, filter, range); });
}

}  // namespace hearth::store
