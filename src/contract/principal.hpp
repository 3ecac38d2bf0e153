// The identity behind a request: the outcome of authentication.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/id.hpp"

namespace hearth::contract {

// ephemeral: made for one client of a person, with an end.
enum class KeyKind : std::uint8_t { project, service_account, admin, ephemeral };

enum class OwnerKind : std::uint8_t { user, service_account };
// The role of a user in the organization. A service account has `none`, unless it administers (the
// bootstrap's).
enum class OrganizationRole : std::uint8_t { none, reader, owner };
enum class ProjectRole : std::uint8_t { member, owner };

// The user or service account for which a key acts. Caches keep it with the key; every administrative change
// reads it again.
struct Owner {
  OwnerKind kind = OwnerKind::user;
  std::string id;  // of the user or the service account
  std::string name;
  std::string email;  // of users
  OrganizationRole role = OrganizationRole::none;
  // The projects that it belongs to. An owner of the organization has the rights of an owner in every
  // project.
  std::map<ProjectId, ProjectRole> projects;
};

struct Principal {
  KeyId key;
  KeyKind kind = KeyKind::project;
  OrganizationId organization;
  // The key's own project; nullopt for an admin key.
  std::optional<ProjectId> project;
  Owner owner;
};

}  // namespace hearth::contract
