#include "api/administration.hpp"

#include "contract/fields.hpp"
#include "store/roles.hpp"

namespace hearth::api {

namespace field = contract::field;

store::Tenant named_project(const contract::Call& call) {
  return {call.principal.organization, read_id<ProjectId>(call, field::project_id)};
}

contract::ProjectRole read_project_role(const json::object& body) {
  return store::parse_project_role(*json::find_string(body, field::role));
}

contract::OrganizationRole read_organization_role(const json::object& body) {
  return store::parse_organization_role(*json::find_string(body, field::role));
}

std::string read_name(const json::object& body) {
  return std::string(*json::find_string(body, field::name));
}

json::value render_project_user(store::ProjectUser user) {
  return {{field::object, "organization.project.user"}, {field::id, user.id.str()},
          {field::name, std::move(user.name)},          {field::email, std::move(user.email)},
          {field::role, store::role_name(user.role)},   {field::added_at, user.added_at}};
}

json::value render_service_account(store::ServiceAccount account) {
  return {{field::object, "organization.project.service_account"},
          {field::id, account.id.str()},
          {field::name, std::move(account.name)},
          {field::role, store::role_name(account.role)},
          {field::created_at, account.created_at}};
}

contract::Reply reply_deleted(std::string_view object, std::string_view id) {
  return contract::Reply::of({{field::object, object}, {field::id, id}, {field::deleted, true}});
}

}  // namespace hearth::api
