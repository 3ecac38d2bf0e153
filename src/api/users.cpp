// The people of the organization.
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

json::value render_user(store::User user) {
  return {{field::object, "organization.user"},       {field::id, user.id.str()},
          {field::name, std::move(user.name)},        {field::email, std::move(user.email)},
          {field::role, store::role_name(user.role)}, {field::added_at, user.added_at}};
}

}  // namespace

Task<contract::Reply> list_users(Services& services, Call& call) {
  auto page = co_await services.organization.users.list(
      call.principal.organization, read_texts(call.query, field::emails), read_page(call.query));
  co_return contract::Reply::of(render_page(std::move(page), render_user));
}

Task<contract::Reply> retrieve_user(Services& services, Call& call) {
  co_return contract::Reply::of(render_user(co_await services.organization.users.get(
      call.principal.organization, read_id<UserId>(call, field::user_id))));
}

Task<contract::Reply> modify_user(Services& services, Call& call) {
  co_return contract::Reply::of(render_user(co_await services.organization.users.modify_role(
      actor_of(call), read_id<UserId>(call, field::user_id), read_organization_role(call.body_object()))));
}

Task<contract::Reply> delete_user(Services& services, Call& call) {
  co_await services.organization.users.remove(actor_of(call), read_id<UserId>(call, field::user_id));
  co_return reply_deleted("organization.user.deleted", call.path_string(field::user_id));
}

}  // namespace hearth::api
