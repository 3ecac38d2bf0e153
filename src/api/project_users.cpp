// The members of a project.
#include "api/administration.hpp"
#include "api/call.hpp"
#include "api/pages.hpp"
#include "api/refusals.hpp"
#include "api/requester.hpp"
#include "api/services.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {

namespace field = contract::field;

Task<contract::Reply> list_project_users(Services& services, Call& call) {
  auto page = co_await services.organization.project_users.list(named_project(call), read_page(call.query));
  co_return contract::Reply::of(render_page(accept(std::move(page)), render_project_user));
}

Task<contract::Reply> create_project_user(Services& services, Call& call) {
  const json::object& body = call.body_object();
  const UserId user(std::string(*json::find_string(body, field::user_id)));
  co_return contract::Reply::of(render_project_user(accept(co_await services.organization.project_users.add(
      actor_of(call), named_project(call).project, user, read_project_role(body)))));
}

Task<contract::Reply> retrieve_project_user(Services& services, Call& call) {
  co_return contract::Reply::of(render_project_user(accept(co_await services.organization.project_users.get(
      named_project(call), read_id<UserId>(call, field::user_id)))));
}

Task<contract::Reply> modify_project_user(Services& services, Call& call) {
  co_return contract::Reply::of(
      render_project_user(accept(co_await services.organization.project_users.modify_role(
          actor_of(call), named_project(call).project, read_id<UserId>(call, field::user_id),
          read_project_role(call.body_object())))));
}

Task<contract::Reply> delete_project_user(Services& services, Call& call) {
  accept(co_await services.organization.project_users.remove(actor_of(call), named_project(call).project,
                                                             read_id<UserId>(call, field::user_id)));
  co_return reply_deleted("organization.project.user.deleted", call.path_string(field::user_id));
}

}  // namespace hearth::api
