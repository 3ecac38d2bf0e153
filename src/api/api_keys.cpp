// The keys of a project.
#include "api/administration.hpp"
#include "api/call.hpp"
#include "api/pages.hpp"
#include "api/requester.hpp"
#include "api/services.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;

json::object render_owner(store::ListedKey::KeyOwner owner) {
  if (owner.kind == contract::OwnerKind::user) {
    return {{field::type, "user"},
            {field::user, render_project_user({.id = UserId(std::move(owner.id)),
                                               .name = std::move(owner.name),
                                               .email = std::move(owner.email),
                                               .role = owner.project_role,
                                               .added_at = owner.since})}};
  }
  return {{field::type, "service_account"},
          {field::service_account, render_service_account({.id = ServiceAccountId(std::move(owner.id)),
                                                           .name = std::move(owner.name),
                                                           .role = owner.project_role,
                                                           .created_at = owner.since})}};
}

json::value render_key(store::ListedKey key) {
  return {{field::object, "organization.project.api_key"},
          {field::id, key.id.str()},
          {field::name, std::move(key.name)},
          {field::redacted_value, std::move(key.redacted_value)},
          {field::created_at, key.created_at},
          {field::last_used_at, key.last_used_at ? json::value(*key.last_used_at) : json::value()},
          {field::owner, render_owner(std::move(key.owner))}};
}

}  // namespace

Task<contract::Reply> list_project_api_keys(Services& services, Call& call) {
  auto page = co_await services.organization.keys.list(named_project(call), read_page(call.query));
  co_return contract::Reply::of(render_page(std::move(page), render_key));
}

Task<contract::Reply> retrieve_project_api_key(Services& services, Call& call) {
  co_return contract::Reply::of(render_key(
      co_await services.organization.keys.get(named_project(call), read_id<KeyId>(call, field::key_id))));
}

Task<contract::Reply> delete_project_api_key(Services& services, Call& call) {
  co_await services.organization.keys.revoke(actor_of(call), named_project(call).project,
                                             read_id<KeyId>(call, field::key_id));
  co_return reply_deleted("organization.project.api_key.deleted", call.path_string(field::key_id));
}

}  // namespace hearth::api
