#include "store/invites.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/text.hpp"
#include "json/json.hpp"
#include "store/access_epoch.hpp"
#include "store/project_users.hpp"
#include "store/projects.hpp"
#include "store/roles.hpp"
#include "store/sequence.hpp"

namespace hearth::store {
namespace {

constexpr std::size_t token_length = 48;  // 285 bits: nothing to guess, so a fast hash is enough
constexpr std::string_view link_purpose = "invite";
constexpr std::string_view columns =
    "id, organization_id, email, role, invited_at, expires_at, accepted_at";  // as parse_invite reads them

Invite parse_invite(const db::Row& row) {
  return {.id = row.get<InviteId>(0),
          .organization = row.get<OrganizationId>(1),
          .email = row.get<std::string>(2),
          .role = parse_organization_role(row.get<std::string_view>(3)),
          .invited_at = row.get<UnixSeconds>(4),
          .expires_at = row.get<UnixSeconds>(5),
          .accepted_at = row.get<std::optional<UnixSeconds>>(6)};
}

void add_grants(db::Connection& connection, Invite& invite) {
  for (const db::Row row : connection.query(
           "SELECT project_id, role FROM invite_projects WHERE invite_id = $1 ORDER BY project_id",
           {invite.id})) {
    invite.projects.push_back({row.get<ProjectId>(0), parse_project_role(row.get<std::string_view>(1))});
  }
}

Invite get_in(db::Connection& connection, const OrganizationId& organization, const InviteId& id) {
  const db::Rows rows =
      connection.query(fmt::format("SELECT {} FROM invites WHERE id = $1 AND organization_id = $2", columns),
                       {id, organization});
  if (rows.empty())
    throw ApiError::not_found(fmt::format("No invite with the id '{}' was found.", id.str()), "invite_id");
  Invite invite = parse_invite(rows[0]);
  add_grants(connection, invite);
  return invite;
}

std::optional<Invite> find_pending(db::Connection& connection, const OrganizationId& organization,
                                   std::string_view key, UnixSeconds now) {
  const db::Rows rows =
      connection.query(fmt::format("SELECT {} FROM invites WHERE organization_id = $1 AND email_key = $2 "
                                   "AND accepted_at IS NULL AND expires_at > $3",
                                   columns),
                       {organization, key, now});
  if (rows.empty()) return std::nullopt;
  Invite invite = parse_invite(rows[0]);
  add_grants(connection, invite);
  return invite;
}

std::optional<Invite> find_in(db::Connection& connection, const std::string& token, UnixSeconds now) {
  const db::Rows links = connection.query(
      "SELECT organization_id, subject FROM one_time_links "
      "WHERE token_hash = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3",
      {text::sha256_hex(token), link_purpose, now});
  if (links.empty()) return std::nullopt;
  Invite invite = get_in(connection, links[0].get<OrganizationId>(0), links[0].get<InviteId>(1));
  if (invite.status(now) != InviteStatus::pending) return std::nullopt;
  return invite;
}

void drop_links(db::Connection& connection, const Invite& invite) {
  connection.execute(
      "DELETE FROM one_time_links WHERE organization_id = $1 AND purpose = $2 AND subject = $3",
      {invite.organization, link_purpose, invite.id});
}

std::string add_link(db::Connection& connection, IdSource& ids, const Invite& invite) {
  std::string token = ids.secret(token_length);
  connection.execute(
      "INSERT INTO one_time_links (token_hash, organization_id, purpose, subject, expires_at) "
      "VALUES ($1, $2, $3, $4, $5)",
      {text::sha256_hex(token), invite.organization, link_purpose, invite.id, invite.expires_at});
  return token;
}

// The grants as they will be kept: of active projects, each once.
std::vector<ProjectGrant> check_grants(db::Connection& connection, const OrganizationId& organization,
                                       const std::optional<std::vector<ProjectGrant>>& wanted) {
  std::vector<ProjectGrant> grants;
  if (!wanted) {
    const db::Rows rows = connection.query(
        "SELECT id FROM projects WHERE organization_id = $1 AND is_default = 1", {organization});
    for (const db::Row row : rows)
      grants.push_back({row.get<ProjectId>(0), contract::ProjectRole::member});
    return grants;
  }
  for (std::size_t i = 0; i < wanted->size(); ++i) {
    const ProjectGrant& grant = (*wanted)[i];
    const std::string param = fmt::format("projects[{}].id", i);
    try {
      Projects::get_active_in(connection, {organization, grant.project});
    } catch (const ApiError& error) {
      throw ApiError(error.status(), error.type(), error.code(), error.message(), param);
    }
    if (std::ranges::find(grants, grant.project, &ProjectGrant::project) != grants.end()) {
      throw ApiError::invalid_request(
          "invalid_value", fmt::format("The project '{}' is named twice.", grant.project.str()), param);
    }
    grants.push_back(grant);
  }
  std::ranges::sort(grants, {}, &ProjectGrant::project);
  return grants;
}

void check_address(db::Connection& connection, const OrganizationId& organization, const std::string& email,
                   UnixSeconds now) {
  const std::string key = email_key(email);
  const db::Rows users = connection.query(
      "SELECT id FROM users WHERE organization_id = $1 AND email_key = $2", {organization, key});
  if (!users.empty()) {
    throw ApiError::invalid_request(
        "user_exists", fmt::format("The organization has a user with the email address '{}'.", email),
        "email");
  }
  if (find_pending(connection, organization, key, now)) {
    throw ApiError::invalid_request(
        "invite_exists",
        fmt::format("There is a pending invite for '{}'; delete it to send another one.", email), "email");
  }
}

NewAuditLog event_of(std::string_view type, const Invite& invite, json::object details) {
  details["id"] = invite.id.str();
  return {.type = type, .resources = {invite.id.str()}, .details = json::write(std::move(details))};
}

}  // namespace

InviteStatus Invite::status(UnixSeconds now) const {
  if (accepted_at) return InviteStatus::accepted;
  return expires_at > now ? InviteStatus::pending : InviteStatus::expired;
}

Task<SentInvite> Invites::create(Actor actor, NewInvite wanted) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const UnixSeconds now = clock_.unix_now();
    check_address(connection, actor.organization, wanted.email, now);
    SentInvite sent;
    Invite& invite = sent.invite;
    invite = {.id = InviteId(ids_.make("invite-")),
              .organization = actor.organization,
              .email = wanted.email,
              .role = wanted.role,
              .invited_at = now,
              .expires_at = now + wanted.lifetime.count(),
              .projects = check_grants(connection, actor.organization, wanted.projects)};
    connection.execute(
        "INSERT INTO invites (id, organization_id, email, email_key, role, invited_at, expires_at, "
        "sequence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        {invite.id, invite.organization, invite.email, email_key(invite.email), role_name(invite.role),
         invite.invited_at, invite.expires_at, next_sequence(connection, invite.organization, "invites")});
    for (const ProjectGrant& grant : invite.projects) {
      connection.execute("INSERT INTO invite_projects (invite_id, project_id, role) VALUES ($1, $2, $3)",
                         {invite.id, grant.project, role_name(grant.role)});
    }
    sent.token = add_link(connection, ids_, invite);
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         event_of("invite.sent", invite,
                                  {{"data", {{"email", invite.email}, {"role", role_name(invite.role)}}}}));
    return sent;
  });
}

Task<Invite> Invites::get(OrganizationId organization, InviteId id) {
  co_return co_await database_.read(
      [organization = std::move(organization), id = std::move(id)](db::Connection& connection) {
        return get_in(connection, organization, id);
      });
}

Task<Page<Invite>> Invites::list(OrganizationId organization, PageRequest page) {
  co_return co_await database_.read(
      [organization = std::move(organization), page = std::move(page)](db::Connection& connection) {
        PagedSelect select(columns, "invites", {"invited_at", "sequence"});
        select.where("organization_id = {}", organization);
        auto found = select.read<Invite>(connection, page, "id", page.after, parse_invite);
        for (Invite& invite : found.items)
          add_grants(connection, invite);
        return found;
      });
}

Task<void> Invites::remove(Actor actor, InviteId id) {
  co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const Invite invite = get_in(connection, actor.organization, id);
    if (invite.accepted_at) {
      throw ApiError::invalid_request("invite_accepted",
                                      "The invite was accepted; it can no longer be deleted.", "invite_id");
    }
    drop_links(connection, invite);
    connection.execute("DELETE FROM invite_projects WHERE invite_id = $1", {id});
    connection.execute("DELETE FROM invites WHERE id = $1 AND organization_id = $2",
                       {id, actor.organization});
    AuditLogs::append_in(connection, clock_, ids_, actor, event_of("invite.deleted", invite, {}));
  });
}

Task<std::optional<SentInvite>> Invites::renew_link(OrganizationId organization, std::string email) {
  co_return co_await database_.write(
      organization, [&](db::Connection& connection) -> std::optional<SentInvite> {
        auto invite = find_pending(connection, organization, email_key(email), clock_.unix_now());
        if (!invite) return std::nullopt;
        drop_links(connection, *invite);
        std::string token = add_link(connection, ids_, *invite);
        return SentInvite{std::move(*invite), std::move(token)};
      });
}

Task<std::optional<Invite>> Invites::find_by_token(std::string token) {
  co_return co_await database_.read([this, token = std::move(token)](db::Connection& connection) {
    return find_in(connection, token, clock_.unix_now());
  });
}

Task<std::optional<User>> Invites::accept(std::string token, Acceptance acceptance) {
  const auto invite = co_await find_by_token(token);
  if (!invite) co_return std::nullopt;
  co_return co_await database_.write(invite->organization, [&](db::Connection& connection) {
    return accept_in(connection, clock_, ids_, token, acceptance);
  });
}

std::optional<User> Invites::accept_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                                       const std::string& token, const Acceptance& acceptance) {
  const UnixSeconds now = clock.unix_now();
  const auto invite = find_in(connection, token, now);
  if (!invite) return std::nullopt;
  Actor actor{.organization = invite->organization,
              .type = ActorType::session,
              .address = acceptance.address,
              .user_agent = acceptance.user_agent};
  User user = Users::add_in(connection, clock, ids, actor,
                            {.email = invite->email,
                             .name = acceptance.name,
                             .role = invite->role,
                             .password_hash = acceptance.password_hash});
  actor.id = user.id.str();
  actor.email = user.email;
  for (const ProjectGrant& grant : invite->projects) {
    const Project project = Projects::get_in(connection, invite->organization, grant.project);
    if (project.status == ProjectStatus::archived) continue;
    Change change{connection, clock, ids, actor, project};
    ProjectUsers::add_in(change, user.id, grant.role);
  }
  drop_links(connection, *invite);
  connection.execute("UPDATE invites SET accepted_at = $1 WHERE id = $2 AND organization_id = $3",
                     {now, invite->id, invite->organization});
  AuditLogs::append_in(connection, clock, ids, actor, event_of("invite.accepted", *invite, {}));
  return user;
}

std::int64_t Invites::remove_expired_in(db::Connection& connection, UnixSeconds before, std::size_t limit) {
  return connection.execute(
      "DELETE FROM invites WHERE accepted_at IS NULL AND id IN (SELECT id FROM invites WHERE accepted_at IS "
      "NULL "
      "AND expires_at < $1 ORDER BY expires_at LIMIT $2)",
      {before, limit});
}

}  // namespace hearth::store
