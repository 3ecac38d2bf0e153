// Numbers that grow in the order of the commits: what lists are ordered by beside the time.
#pragma once

#include <cstdint>
#include <string_view>

#include "db/connection.hpp"
#include "store/tenant.hpp"

namespace hearth::store {

// The next number of the project's sequence `name`, counted inside the write transaction. Thread: the
// database's, inside write().
std::int64_t next_sequence(db::Connection& connection, const Tenant& tenant, std::string_view name);
// The same for what belongs to the whole organization.
std::int64_t next_sequence(db::Connection& connection, const OrganizationId& organization,
                           std::string_view name);

}  // namespace hearth::store
