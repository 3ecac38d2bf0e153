#include "store/users.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "json/json.hpp"
#include "store/access_epoch.hpp"
#include "store/key_directory.hpp"
#include "store/roles.hpp"
#include "store/sequence.hpp"

namespace hearth::store {
namespace {

using contract::OrganizationRole;

constexpr std::string_view columns = "id, organization_id, email, name, role, added_at";  // of parse_user

User parse_user(const db::Row& row) {
  return {.id = row.get<UserId>(0),
          .organization = row.get<OrganizationId>(1),
          .email = row.get<std::string>(2),
          .name = row.get<std::string>(3),
          .role = parse_organization_role(row.get<std::string_view>(4)),
          .added_at = row.get<UnixSeconds>(5)};
}

std::optional<User> find_where(db::Connection& connection, const OrganizationId& organization,
                               std::string_view column, db::Param value) {
  const db::Rows rows = connection.query(
      fmt::format("SELECT {} FROM users WHERE organization_id = $1 AND {} = $2", columns, column),
      {organization, value});
  if (rows.empty()) return std::nullopt;
  return parse_user(rows[0]);
}

User get_in(db::Connection& connection, const OrganizationId& organization, const UserId& id) {
  auto user = find_where(connection, organization, "id", id);
  if (!user)
    throw ApiError::not_found(fmt::format("No user with the id '{}' was found.", id.str()), "user_id");
  return std::move(*user);
}

void check_not_last_owner(db::Connection& connection, const User& user, std::optional<std::string> param) {
  if (user.role != OrganizationRole::owner) return;
  const db::Rows others = connection.query(
      "SELECT id FROM users WHERE organization_id = $1 AND role = 'owner' AND id <> $2 LIMIT 1",
      {user.organization, user.id});
  if (!others.empty()) return;
  throw ApiError::invalid_request(
      "last_owner", "The last owner of an organization can neither be removed nor get another role.",
      std::move(param));
}

NewAuditLog event_of(std::string_view type, const User& user, json::object details) {
  details["id"] = user.id.str();
  return {.type = type, .resources = {user.id.str()}, .details = json::write(std::move(details))};
}

}  // namespace

std::string email_key(std::string_view email) {
  std::string key(email);
  std::ranges::transform(key, key.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return key;
}

Task<std::optional<User>> Users::find(OrganizationId organization, UserId id) {
  co_return co_await database_.read(
      [organization = std::move(organization), id = std::move(id)](db::Connection& connection) {
        return find_where(connection, organization, "id", id);
      });
}

Task<User> Users::get(OrganizationId organization, UserId id) {
  co_return co_await database_.read(
      [organization = std::move(organization), id = std::move(id)](db::Connection& connection) {
        return get_in(connection, organization, id);
      });
}

Task<std::optional<User>> Users::find_by_email(OrganizationId organization, std::string email) {
  co_return co_await database_.read(
      [organization = std::move(organization), key = email_key(email)](db::Connection& connection) {
        return find_where(connection, organization, "email_key", key);
      });
}

Task<Page<User>> Users::list(OrganizationId organization, std::vector<std::string> emails, PageRequest page) {
  for (std::string& email : emails)
    email = email_key(email);
  co_return co_await database_.read([organization = std::move(organization), keys = std::move(emails),
                                     page = std::move(page)](db::Connection& connection) {
    PagedSelect select(columns, "users", {"added_at", "sequence"});
    select.where("organization_id = {}", organization);
    if (!keys.empty()) select.where_in("email_key", keys);
    return select.read<User>(connection, page, "id", page.after, parse_user);
  });
}

Task<User> Users::add(Actor actor, NewUser user) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    return add_in(connection, clock_, ids_, actor, user);
  });
}

User Users::add_in(db::Connection& connection, const Clock& clock, IdSource& ids, Actor actor,
                   NewUser wanted) {
  const std::string key = email_key(wanted.email);
  if (find_where(connection, actor.organization, "email_key", key)) {
    throw ApiError::invalid_request(
        "user_exists", fmt::format("The organization has a user with the email address '{}'.", wanted.email),
        "email");
  }
  User user{.id = UserId(ids.make("user-")),
            .organization = actor.organization,
            .email = std::move(wanted.email),
            .name = std::move(wanted.name),
            .role = wanted.role,
            .added_at = clock.unix_now()};
  connection.execute(
      "INSERT INTO users (id, organization_id, email, email_key, name, role, password_hash, added_at, "
      "sequence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
      {user.id, user.organization, user.email, key, user.name, role_name(user.role), wanted.password_hash,
       user.added_at, next_sequence(connection, user.organization, "users")});
  if (actor.id.empty()) {
    actor.owner_kind = contract::OwnerKind::user;
    actor.id = user.id.str();
    actor.email = user.email;
  }
  AuditLogs::append_in(connection, clock, ids, actor,
                       event_of("user.added", user, {{"data", {{"role", role_name(user.role)}}}}));
  return user;
}

Task<User> Users::modify_role(Actor actor, UserId id, OrganizationRole role) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    User user = get_in(connection, actor.organization, id);
    if (user.role == role) return user;
    check_not_last_owner(connection, user, "role");
    user.role = role;
    connection.execute("UPDATE users SET role = $1 WHERE id = $2 AND organization_id = $3",
                       {role_name(role), id, actor.organization});
    AuditLogs::append_in(
        connection, clock_, ids_, actor,
        event_of("user.updated", user, {{"changes_requested", {{"role", role_name(role)}}}}));
    return user;
  });
}

Task<void> Users::remove(Actor actor, UserId id) {
  co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const User user = get_in(connection, actor.organization, id);
    check_not_last_owner(connection, user, "user_id");
    KeyDirectory::revoke_owned_in(connection, clock_, ids_, actor, {contract::OwnerKind::user, id.str()});
    connection.execute("DELETE FROM sessions WHERE user_id = $1", {id});
    connection.execute("DELETE FROM project_users WHERE user_id = $1", {id});
    connection.execute("DELETE FROM one_time_links WHERE organization_id = $1 AND subject = $2",
                       {actor.organization, id});
    connection.execute("DELETE FROM users WHERE id = $1 AND organization_id = $2", {id, actor.organization});
    AuditLogs::append_in(connection, clock_, ids_, actor, event_of("user.deleted", user, {}));
  });
}

Task<std::optional<std::string>> Users::find_password_hash(OrganizationId organization, UserId id) {
  co_return co_await database_.read([organization = std::move(organization), id = std::move(id)](
                                        db::Connection& connection) -> std::optional<std::string> {
    const db::Rows rows = connection.query(
        "SELECT password_hash FROM users WHERE id = $1 AND organization_id = $2", {id, organization});
    if (rows.empty()) return std::nullopt;
    return rows[0].get<std::optional<std::string>>(0);
  });
}

Task<bool> Users::set_password_hash(OrganizationId organization, UserId id, std::string hash) {
  co_return co_await database_.write(organization, [&](db::Connection& connection) {
    AccessEpoch::advance_in(connection, organization);
    connection.execute("DELETE FROM sessions WHERE user_id = $1 AND organization_id = $2",
                       {id, organization});
    return connection.execute("UPDATE users SET password_hash = $1 WHERE id = $2 AND organization_id = $3",
                              {hash, id, organization}) == 1;
  });
}

}  // namespace hearth::store
