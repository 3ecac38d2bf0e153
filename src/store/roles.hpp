// Roles and kinds as the database and the API write them.
#pragma once

#include <string_view>

#include "contract/principal.hpp"
#include "db/error.hpp"

namespace hearth::store {

std::string_view role_name(contract::OrganizationRole role);  // "owner" | "reader"
std::string_view role_name(contract::ProjectRole role);       // "owner" | "member"
std::string_view kind_name(contract::OwnerKind kind);         // "user" | "service_account"

// Throw db::Error(statement) for any other word: callers pass what the contract or the database has checked.
contract::OrganizationRole parse_organization_role(std::string_view name);
contract::ProjectRole parse_project_role(std::string_view name);
contract::OwnerKind parse_owner_kind(std::string_view name);

}  // namespace hearth::store
