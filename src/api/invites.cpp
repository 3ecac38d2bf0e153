// Invitations to the organization.
#include "api/administration.hpp"
#include "api/call.hpp"
#include "api/pages.hpp"
#include "api/requester.hpp"
#include "api/services.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"
#include "store/roles.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;

std::string_view status_name(store::InviteStatus status) {
  switch (status) {
    case store::InviteStatus::pending:
      return "pending";
    case store::InviteStatus::accepted:
      return "accepted";
    case store::InviteStatus::expired:
      return "expired";
  }
  std::unreachable();
}

json::value render_invite(const store::Invite& invite, UnixSeconds now) {
  json::array projects;
  for (const store::ProjectGrant& grant : invite.projects)
    projects.push_back({{field::id, grant.project.str()}, {field::role, store::role_name(grant.role)}});
  return {{field::object, "organization.invite"},
          {field::id, invite.id.str()},
          {field::email, invite.email},
          {field::role, store::role_name(invite.role)},
          {field::status, status_name(invite.status(now))},
          {field::invited_at, invite.invited_at},
          {field::expires_at, invite.expires_at},
          {field::accepted_at, invite.accepted_at ? json::value(*invite.accepted_at) : json::value()},
          {field::projects, std::move(projects)}};
}

store::NewInvite read_invite(const json::object& body) {
  store::NewInvite invite{.email = std::string(*json::find_string(body, field::email)),
                          .role = read_organization_role(body)};
  if (const json::array* projects = json::find_array(body, field::projects)) {
    invite.projects.emplace();
    for (const json::value& project : *projects) {
      const json::object& grant = project.get_object();
      invite.projects->push_back(
          {ProjectId(std::string(*json::find_string(grant, field::id))), read_project_role(grant)});
    }
  }
  return invite;
}

}  // namespace

Task<contract::Reply> list_invites(Services& services, Call& call) {
  auto page = co_await services.organization.invites.list(call.principal.organization, read_page(call.query));
  co_return contract::Reply::of(render_page(
      std::move(page),
      [now = services.clock.unix_now()](const store::Invite& invite) { return render_invite(invite, now); }));
}

Task<contract::Reply> create_invite(Services& services, Call& call) {
  const store::Invite invite =
      co_await services.organization.invitations.invite(actor_of(call), read_invite(call.body_object()));
  co_return contract::Reply::of(render_invite(invite, services.clock.unix_now()));
}

Task<contract::Reply> retrieve_invite(Services& services, Call& call) {
  const store::Invite invite = co_await services.organization.invites.get(
      call.principal.organization, read_id<InviteId>(call, field::invite_id));
  co_return contract::Reply::of(render_invite(invite, services.clock.unix_now()));
}

Task<contract::Reply> delete_invite(Services& services, Call& call) {
  co_await services.organization.invites.remove(actor_of(call), read_id<InviteId>(call, field::invite_id));
  co_return reply_deleted("organization.invite.deleted", call.path_string(field::invite_id));
}

}  // namespace hearth::api
