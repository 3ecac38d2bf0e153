// The service accounts of a project.
#include "api/administration.hpp"
#include "api/call.hpp"
#include "api/pages.hpp"
#include "api/requester.hpp"
#include "api/services.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {

namespace field = contract::field;

Task<contract::Reply> list_project_service_accounts(Services& services, Call& call) {
  auto page =
      co_await services.organization.service_accounts.list(named_project(call), read_page(call.query));
  co_return contract::Reply::of(render_page(std::move(page), render_service_account));
}

Task<contract::Reply> create_project_service_account(Services& services, Call& call) {
  store::CreatedServiceAccount created = co_await services.organization.service_accounts.create(
      actor_of(call), named_project(call).project, read_name(call.body_object()));
  const store::KeyRecord& key = created.key.record;
  json::value reply = render_service_account(std::move(created.account));
  reply.get_object()[field::api_key] = {{field::object, "organization.project.service_account.api_key"},
                                        {field::value, created.key.secret},
                                        {field::name, key.name},
                                        {field::created_at, key.created_at},
                                        {field::id, key.id.str()}};
  co_return contract::Reply::of(std::move(reply));
}

Task<contract::Reply> retrieve_project_service_account(Services& services, Call& call) {
  co_return contract::Reply::of(render_service_account(co_await services.organization.service_accounts.get(
      named_project(call), read_id<ServiceAccountId>(call, field::service_account_id))));
}

Task<contract::Reply> delete_project_service_account(Services& services, Call& call) {
  co_await services.organization.service_accounts.remove(
      actor_of(call), named_project(call).project,
      read_id<ServiceAccountId>(call, field::service_account_id));
  co_return reply_deleted("organization.project.service_account.deleted",
                          call.path_string(field::service_account_id));
}

}  // namespace hearth::api
