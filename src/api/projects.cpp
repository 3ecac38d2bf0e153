// The projects of the organization.
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

json::value render_project(store::Project project) {
  const bool active = project.status == store::ProjectStatus::active;
  return {{field::id, project.id.str()},
          {field::object, "organization.project"},
          {field::name, std::move(project.name)},
          {field::created_at, project.created_at},
          {field::archived_at, project.archived_at ? json::value(*project.archived_at) : json::value()},
          {field::status, active ? "active" : "archived"}};
}

}  // namespace

Task<contract::Reply> list_projects(Services& services, Call& call) {
  const bool all = json::find_bool(call.query, field::include_archived).value_or(false);
  auto page = co_await services.organization.projects.list(
      call.principal.organization, all ? store::ProjectsShown::all : store::ProjectsShown::active,
      read_page(call.query));
  co_return contract::Reply::of(render_page(std::move(page), render_project));
}

Task<contract::Reply> create_project(Services& services, Call& call) {
  co_return contract::Reply::of(render_project(
      co_await services.organization.projects.create(actor_of(call), read_name(call.body_object()))));
}

Task<contract::Reply> retrieve_project(Services& services, Call& call) {
  store::Tenant named = named_project(call);
  co_return contract::Reply::of(render_project(
      co_await services.organization.projects.get(std::move(named.organization), std::move(named.project))));
}

Task<contract::Reply> modify_project(Services& services, Call& call) {
  co_return contract::Reply::of(render_project(co_await services.organization.projects.rename(
      actor_of(call), named_project(call).project, read_name(call.body_object()))));
}

Task<contract::Reply> archive_project(Services& services, Call& call) {
  co_return contract::Reply::of(render_project(
      co_await services.organization.projects.archive(actor_of(call), named_project(call).project)));
}

}  // namespace hearth::api
