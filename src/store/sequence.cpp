#include "store/sequence.hpp"

namespace hearth::store {

std::int64_t next_sequence(db::Connection& connection, const Tenant& tenant, std::string_view name) {
  return connection
      .query(
          "INSERT INTO sequences (organization_id, project_id, name, value) VALUES ($1, $2, $3, 1) "
          "ON CONFLICT (organization_id, project_id, name) DO UPDATE SET value = sequences.value + 1 "
          "RETURNING value",
          {tenant.organization, tenant.project, name})[0]
      .get<std::int64_t>(0);
}

std::int64_t next_sequence(db::Connection& connection, const OrganizationId& organization,
                           std::string_view name) {
  return next_sequence(connection, Tenant{organization, ProjectId()}, name);
}

}  // namespace hearth::store
