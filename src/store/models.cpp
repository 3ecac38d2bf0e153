#include "store/models.hpp"

namespace hearth::store {
namespace {

ModelRecord parse_model(const db::Row& row) {
  ModelRecord record{.id = row.get<ModelId>(0),
                     .origin = row.get<bool>(4) ? ModelOrigin::fine_tuned : ModelOrigin::registered,
                     .spec = row.get<std::string>(3),
                     .created_at = row.get<UnixSeconds>(5)};
  if (!row.is_null(1)) record.tenant = Tenant{row.get<OrganizationId>(1), row.get<ProjectId>(2)};
  return record;
}

bool put_in(db::Connection& connection, const ModelRecord& record) {
  std::optional<OrganizationId> organization;
  std::optional<ProjectId> project;
  if (record.tenant) {
    organization = record.tenant->organization;
    project = record.tenant->project;
  }
  const db::Rows existing =
      connection.query("SELECT organization_id, project_id FROM models WHERE id = $1", {record.id});
  if (existing.empty()) {
    connection.execute(
        "INSERT INTO models (id, organization_id, project_id, spec, fine_tuned, created_at) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        {record.id, organization, project, record.spec, record.origin == ModelOrigin::fine_tuned,
         record.created_at});
    return true;
  }
  if (existing[0].get<std::optional<OrganizationId>>(0) != organization ||
      existing[0].get<std::optional<ProjectId>>(1) != project) {
    return false;
  }
  connection.execute("UPDATE models SET spec = $1 WHERE id = $2", {record.spec, record.id});
  return true;
}

}  // namespace

Task<std::vector<ModelRecord>> Models::list() {
  co_return co_await database_.read([](db::Connection& connection) {
    std::vector<ModelRecord> records;
    for (const db::Row row :
         connection.query("SELECT id, organization_id, project_id, spec, fine_tuned, created_at FROM models "
                          "ORDER BY id")) {
      records.push_back(parse_model(row));
    }
    return records;
  });
}

Task<std::optional<ModelRecord>> Models::find(ModelId id) {
  co_return co_await database_.read(
      [id = std::move(id)](db::Connection& connection) -> std::optional<ModelRecord> {
        const db::Rows rows = connection.query(
            "SELECT id, organization_id, project_id, spec, fine_tuned, created_at FROM models WHERE id = $1",
            {id});
        if (rows.empty()) return std::nullopt;
        return parse_model(rows[0]);
      });
}

Task<bool> Models::put(ModelRecord record) {
  co_return co_await database_.write(db::WriteScope::everyone(),
                                     [&](db::Connection& connection) { return put_in(connection, record); });
}

Task<bool> Models::remove(ModelId id) {
  co_return co_await database_.write(db::WriteScope::everyone(), [&](db::Connection& connection) {
    return connection.execute("DELETE FROM models WHERE id = $1", {id}) == 1;
  });
}

Task<bool> Models::remove_fine_tuned(Tenant tenant, ModelId id) {
  co_return co_await database_.write(db::WriteScope::everyone(), [&](db::Connection& connection) {
    return connection.execute(
               "DELETE FROM models WHERE id = $1 AND organization_id = $2 AND project_id = $3 "
               "AND fine_tuned = 1",
               {id, tenant.organization, tenant.project}) == 1;
  });
}

Task<std::vector<ModelAlias>> Models::list_aliases() {
  co_return co_await database_.read([](db::Connection& connection) {
    std::vector<ModelAlias> aliases;
    for (const db::Row row : connection.query("SELECT name, target FROM model_aliases ORDER BY name"))
      aliases.push_back({row.get<std::string>(0), row.get<std::string>(1)});
    return aliases;
  });
}

Task<void> Models::put_alias(ModelAlias alias) {
  co_await database_.write(db::WriteScope::everyone(), [&](db::Connection& connection) {
    connection.execute(
        "INSERT INTO model_aliases (name, target) VALUES ($1, $2) "
        "ON CONFLICT (name) DO UPDATE SET target = excluded.target",
        {alias.name, alias.target});
  });
}

Task<bool> Models::remove_alias(std::string name) {
  co_return co_await database_.write(db::WriteScope::everyone(), [&](db::Connection& connection) {
    return connection.execute("DELETE FROM model_aliases WHERE name = $1", {name}) == 1;
  });
}

}  // namespace hearth::store
