// What the handlers of the administration share: what a path names, roles of bodies, members and accounts as
// the API writes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/pages.hpp"
#include "contract/call.hpp"
#include "contract/reply.hpp"
#include "store/project_users.hpp"
#include "store/service_accounts.hpp"
#include "store/tenant.hpp"

namespace hearth::api {

// The id that the member `name` of the path holds.
template <class IdType>
IdType read_id(const contract::Call& call, std::string_view name) {
  return IdType(std::string(call.path_string(name)));
}

// The ids of the list `name` of the body.
template <class IdType>
std::vector<IdType> read_ids(const json::object& body, std::string_view name) {
  std::vector<IdType> ids;
  for (std::string& id : read_texts(body, name))
    ids.emplace_back(std::move(id));
  return ids;
}

// The project of the path, in the caller's organization.
store::Tenant named_project(const contract::Call& call);

// The member `role` of the body.
contract::ProjectRole read_project_role(const json::object& body);
contract::OrganizationRole read_organization_role(const json::object& body);
// The member `name` of the body.
std::string read_name(const json::object& body);

json::value render_project_user(store::ProjectUser user);
json::value render_service_account(store::ServiceAccount account);
// {"object": …, "id": …, "deleted": true}
contract::Reply reply_deleted(std::string_view object, std::string_view id);

}  // namespace hearth::api
