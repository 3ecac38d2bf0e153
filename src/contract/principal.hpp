// Who makes a request: the outcome of authentication.
#pragma once

#include <cstdint>
#include <optional>

#include "base/id.hpp"

namespace hearth::contract {

enum class KeyKind : std::uint8_t { project, service_account, admin };

struct Principal {
  KeyId key;
  KeyKind kind = KeyKind::project;
  OrganizationId organization;
  // The key's own project; nullopt for an admin key.
  std::optional<ProjectId> project;
};

}  // namespace hearth::contract
