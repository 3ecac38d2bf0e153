#include "store/sessions.hpp"

#include "base/text.hpp"
#include "json/json.hpp"
#include "store/access_epoch.hpp"
#include "store/roles.hpp"

namespace hearth::store {
namespace {

constexpr std::size_t token_length = 48;
constexpr std::string_view reset_purpose = "password_reset";

User parse_user(const db::Row& row) {
  return {.id = row.get<UserId>(0),
          .organization = row.get<OrganizationId>(1),
          .email = row.get<std::string>(2),
          .name = row.get<std::string>(3),
          .role = parse_organization_role(row.get<std::string_view>(4)),
          .added_at = row.get<UnixSeconds>(5)};
}

std::optional<User> find_reset_in(db::Connection& connection, const std::string& hash, UnixSeconds now) {
  const db::Rows rows = connection.query(
      "SELECT u.id, u.organization_id, u.email, u.name, u.role, u.added_at FROM one_time_links l "
      "JOIN users u ON u.id = l.subject AND u.organization_id = l.organization_id "
      "WHERE l.token_hash = $1 AND l.purpose = $2 AND l.used_at IS NULL AND l.expires_at > $3",
      {hash, reset_purpose, now});
  if (rows.empty()) return std::nullopt;
  return parse_user(rows[0]);
}

}  // namespace

Actor session_actor(const User& user, std::string address, std::string user_agent) {
  return {.organization = user.organization,
          .type = ActorType::session,
          .key = std::nullopt,
          .owner_kind = contract::OwnerKind::user,
          .id = user.id.str(),
          .email = user.email,
          .address = std::move(address),
          .user_agent = std::move(user_agent)};
}

std::string Sessions::open_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                              const Actor& actor, std::chrono::seconds lifetime) {
  const UnixSeconds now = clock.unix_now();
  std::string token = ids.secret(token_length);
  connection.execute(
      "INSERT INTO sessions (token_hash, organization_id, user_id, created_at, expires_at) "
      "VALUES ($1, $2, $3, $4, $5)",
      {text::sha256_hex(token), actor.organization, actor.id, now, now + lifetime.count()});
  AuditLogs::append_in(connection, clock, ids, actor, {.type = "login.succeeded", .resources = {actor.id}});
  return token;
}

Task<std::string> Sessions::open(Actor actor, std::chrono::seconds lifetime) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    return open_in(connection, clock_, ids_, actor, lifetime);
  });
}

Task<std::optional<Session>> Sessions::find(std::string token) {
  co_return co_await database_.read([this, hash = text::sha256_hex(token)](
                                        db::Connection& connection) -> std::optional<Session> {
    const db::Rows rows = connection.query(
        "SELECT u.id, u.organization_id, u.email, u.name, u.role, u.added_at, s.expires_at FROM sessions s "
        "JOIN users u ON u.id = s.user_id AND u.organization_id = s.organization_id "
        "WHERE s.token_hash = $1 AND s.expires_at > $2",
        {hash, clock_.unix_now()});
    if (rows.empty()) return std::nullopt;
    return Session{parse_user(rows[0]), rows[0].get<UnixSeconds>(6)};
  });
}

Task<void> Sessions::close(Actor actor, std::string token) {
  co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const auto closed = connection.execute(
        "DELETE FROM sessions WHERE token_hash = $1 AND user_id = $2 AND organization_id = $3",
        {text::sha256_hex(token), actor.id, actor.organization});
    if (closed == 0) return;
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         {.type = "logout.succeeded", .resources = {actor.id}});
  });
}

std::int64_t Sessions::remove_expired_in(db::Connection& connection, UnixSeconds now, std::size_t limit) {
  return connection.execute(
      "DELETE FROM sessions WHERE token_hash IN (SELECT token_hash FROM sessions WHERE expires_at <= $1 "
      "ORDER BY expires_at LIMIT $2)",
      {now, limit});
}

std::int64_t Sessions::remove_expired_links_in(db::Connection& connection, UnixSeconds now,
                                               std::size_t limit) {
  return connection.execute(
      "DELETE FROM one_time_links WHERE token_hash IN (SELECT token_hash FROM one_time_links "
      "WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
      {now, limit});
}

Task<void> Sessions::note_failure(Actor actor, std::string code, std::string message) {
  co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const json::value details{{"error_code", code}, {"error_message", message}};
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         {.type = "login.failed", .details = json::write(details)});
  });
}

std::string Sessions::create_reset_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                                      const User& user, std::chrono::seconds lifetime) {
  std::string token = ids.secret(token_length);
  connection.execute(
      "DELETE FROM one_time_links WHERE organization_id = $1 AND purpose = $2 AND subject = $3",
      {user.organization, reset_purpose, user.id});
  connection.execute(
      "INSERT INTO one_time_links (token_hash, organization_id, purpose, subject, expires_at) "
      "VALUES ($1, $2, $3, $4, $5)",
      {text::sha256_hex(token), user.organization, reset_purpose, user.id,
       clock.unix_now() + lifetime.count()});
  return token;
}

Task<std::string> Sessions::create_reset(User user, std::chrono::seconds lifetime) {
  co_return co_await database_.write(user.organization, [&](db::Connection& connection) {
    return create_reset_in(connection, clock_, ids_, user, lifetime);
  });
}

Task<std::optional<User>> Sessions::find_reset(std::string token) {
  co_return co_await database_.read([this, hash = text::sha256_hex(token)](db::Connection& connection) {
    return find_reset_in(connection, hash, clock_.unix_now());
  });
}

Task<bool> Sessions::complete_reset(std::string token, std::string password_hash, std::string address,
                                    std::string user_agent) {
  const auto owner = co_await find_reset(token);
  if (!owner) co_return false;
  co_return co_await database_.write(owner->organization, [&](db::Connection& connection) {
    const UnixSeconds now = clock_.unix_now();
    const std::string hash = text::sha256_hex(token);
    const auto user = find_reset_in(connection, hash, now);
    if (!user) return false;  // another was faster
    connection.execute("UPDATE one_time_links SET used_at = $1 WHERE token_hash = $2", {now, hash});
    change_password_in(connection, clock_, ids_, session_actor(*user, address, user_agent), user->id,
                       password_hash);
    return true;
  });
}

void Sessions::change_password_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                                  const Actor& actor, const UserId& user, const std::string& password_hash) {
  connection.execute("UPDATE users SET password_hash = $1 WHERE id = $2 AND organization_id = $3",
                     {password_hash, user, actor.organization});
  connection.execute("DELETE FROM sessions WHERE user_id = $1 AND organization_id = $2",
                     {user, actor.organization});
  // Links for a new password were for the old one.
  connection.execute(
      "DELETE FROM one_time_links WHERE organization_id = $1 AND purpose = $2 AND subject = $3 AND used_at "
      "IS NULL",
      {actor.organization, reset_purpose, user});
  AuditLogs::append_in(connection, clock, ids, actor,
                       {.type = "user.updated",
                        .resources = {user.str()},
                        .details = json::write(json::value{{"id", user.str()}})});
}

}  // namespace hearth::store
