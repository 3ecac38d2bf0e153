// The owner of data: every statement of the store names both members.
#pragma once

#include "base/id.hpp"

namespace hearth::store {

struct Tenant {
  OrganizationId organization;
  ProjectId project;
  bool operator==(const Tenant&) const = default;
};

}  // namespace hearth::store
