// Forward-only changes of the schema, numbered from 1 without gaps.
#pragma once

#include <span>
#include <string_view>

#include "db/driver.hpp"

namespace hearth::db {

struct Migration {
  int version;
  std::string_view name;
  std::string_view sql;  // statements in the portable subset
};

// Brings the database to the last of `migrations`, in one transaction that excludes other processes: of two
// that start at once the second finds nothing to do. Blocking; called once before the Database is made.
// Throws Error(unavailable) when the database is of a newer version than this program, or cannot be changed.
void migrate(Driver& driver, std::span<const Migration> migrations);

// The table in which migrations are noted.
inline constexpr std::string_view migrations_table = "schema_migrations";

// The same within a transaction of the caller's.
void migrate_in(Session& session, std::span<const Migration> migrations);

// What the last migration was; 0 for none. Throws Error(statement) when there is no such table.
int schema_version(Session& session);

}  // namespace hearth::db
