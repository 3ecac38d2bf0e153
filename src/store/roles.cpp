#include "store/roles.hpp"

#include <fmt/format.h>

namespace hearth::store {

using contract::OrganizationRole;
using contract::OwnerKind;
using contract::ProjectRole;

namespace {

[[noreturn]] void unknown(std::string_view what, std::string_view name) {
  throw db::Error(db::ErrorKind::statement, fmt::format("unknown {}: {}", what, name));
}

}  // namespace

std::string_view role_name(OrganizationRole role) {
  return role == OrganizationRole::owner ? "owner" : "reader";
}

std::string_view role_name(ProjectRole role) {
  return role == ProjectRole::owner ? "owner" : "member";
}

std::string_view kind_name(OwnerKind kind) {
  return kind == OwnerKind::user ? "user" : "service_account";
}

OrganizationRole parse_organization_role(std::string_view name) {
  if (name == "owner") return OrganizationRole::owner;
  if (name == "reader") return OrganizationRole::reader;
  unknown("role in the organization", name);
}

ProjectRole parse_project_role(std::string_view name) {
  if (name == "owner") return ProjectRole::owner;
  if (name == "member") return ProjectRole::member;
  unknown("role in a project", name);
}

OwnerKind parse_owner_kind(std::string_view name) {
  if (name == "user") return OwnerKind::user;
  if (name == "service_account") return OwnerKind::service_account;
  unknown("kind of owner", name);
}

}  // namespace hearth::store
