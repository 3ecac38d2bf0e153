#include "store/organizations.hpp"

#include "base/api_error.hpp"
#include "base/log.hpp"

namespace hearth::store {
namespace {

std::optional<Organization> parse_first(const db::Rows& rows) {
  if (rows.empty()) return std::nullopt;
  const db::Row row = rows[0];
  return Organization{row.get<OrganizationId>(0), row.get<std::string>(1), row.get<UnixSeconds>(2)};
}

}  // namespace

Task<std::optional<Organization>> Organizations::find(OrganizationId id) {
  co_return co_await database_.read([id = std::move(id)](db::Connection& connection) {
    return parse_first(
        connection.query("SELECT id, name, created_at FROM organizations WHERE id = $1", {id}));
  });
}

Task<Organization> Organizations::get(OrganizationId id) {
  auto found = co_await find(id);
  if (!found) {
    log::error("store.organization_missing", {{"organization", id.str()}});
    throw ApiError::internal();
  }
  co_return std::move(*found);
}

Task<std::optional<Organization>> Organizations::find_first() {
  co_return co_await database_.read([](db::Connection& connection) {
    return parse_first(
        connection.query("SELECT id, name, created_at FROM organizations ORDER BY created_at, id LIMIT 1"));
  });
}

}  // namespace hearth::store
