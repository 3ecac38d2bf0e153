#include "store/blob_rows.hpp"

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace hearth::store {
namespace {

std::set<BlobId> find_named(db::Connection& connection, std::span<const BlobColumn> columns,
                            const std::vector<BlobId>& ids) {
  std::set<BlobId> named;
  if (ids.empty()) return named;
  std::string places;
  std::vector<db::Param> params;
  for (const BlobId& id : ids) {
    params.emplace_back(id);
    places += fmt::format("{}${}", params.size() == 1 ? "" : ", ", params.size());
  }
  for (const auto& [table, column] : columns) {
    const db::Rows rows = connection.query(
        fmt::format("SELECT DISTINCT {0} FROM {1} WHERE {0} IN ({2})", column, table, places), params);
    for (const db::Row row : rows)
      named.insert(row.get<BlobId>(0));
  }
  return named;
}

}  // namespace

// No aggregate has bytes yet.
std::span<const BlobColumn> blob_columns() {
  return {};
}

FindNamedBlobs named_in(db::Database& database, std::span<const BlobColumn> columns) {
  return [&database, columns](std::vector<BlobId> ids) -> Task<std::set<BlobId>> {
    return database.read([columns, ids = std::move(ids)](db::Connection& connection) {
      return find_named(connection, columns, ids);
    });
  };
}

}  // namespace hearth::store
