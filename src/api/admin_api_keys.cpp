// The admin keys of the organization.
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

json::value render_owner(store::ListedKey::KeyOwner owner) {
  const bool is_user = owner.kind == contract::OwnerKind::user;
  return {{field::type, store::kind_name(owner.kind)},
          {field::object, is_user ? "organization.user" : "organization.service_account"},
          {field::id, std::move(owner.id)},
          {field::name, std::move(owner.name)},
          {field::created_at, owner.since},
          {field::role, owner.role == contract::OrganizationRole::none ? store::role_name(owner.project_role)
                                                                       : store::role_name(owner.role)}};
}

json::value render_key(store::ListedKey key) {
  return {{field::object, "organization.admin_api_key"},
          {field::id, key.id.str()},
          {field::name, std::move(key.name)},
          {field::redacted_value, std::move(key.redacted_value)},
          {field::created_at, key.created_at},
          {field::last_used_at, key.last_used_at ? json::value(*key.last_used_at) : json::value()},
          {field::owner, render_owner(std::move(key.owner))}};
}

}  // namespace

Task<contract::Reply> list_admin_api_keys(Services& services, Call& call) {
  auto page =
      co_await services.organization.keys.list_admin(call.principal.organization, read_page(call.query));
  co_return contract::Reply::of(render_page(std::move(page), render_key));
}

Task<contract::Reply> create_admin_api_key(Services& services, Call& call) {
  const contract::Owner& owner = call.principal.owner;
  store::CreatedAdminKey created = co_await services.organization.keys.create_admin(
      actor_of(call), {owner.kind, owner.id}, read_name(call.body_object()));
  json::value reply = render_key(std::move(created.key));
  reply.get_object()[field::value] = created.secret;
  co_return contract::Reply::of(std::move(reply));
}

Task<contract::Reply> get_admin_api_key(Services& services, Call& call) {
  co_return contract::Reply::of(render_key(co_await services.organization.keys.get_admin(
      call.principal.organization, read_id<KeyId>(call, field::key_id))));
}

Task<contract::Reply> delete_admin_api_key(Services& services, Call& call) {
  co_await services.organization.keys.revoke_admin(actor_of(call), read_id<KeyId>(call, field::key_id));
  co_return reply_deleted("organization.admin_api_key.deleted", call.path_string(field::key_id));
}

}  // namespace hearth::api
