#include "db/migrations.hpp"

#include <chrono>

#include <fmt/format.h>

#include "base/log.hpp"

namespace hearth::db {
namespace {

std::int64_t unix_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

}  // namespace

int schema_version(Session& session) {
  return session.query("SELECT COALESCE(MAX(version), 0) FROM schema_migrations")[0].get<int>(0);
}

void migrate_in(Session& session, std::span<const Migration> migrations) {
  session.execute(
      "CREATE TABLE IF NOT EXISTS schema_migrations ("
      "version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)");
  const int current = schema_version(session);
  const int newest = migrations.empty() ? 0 : migrations.back().version;
  if (current > newest) {
    throw Error(ErrorKind::unavailable,
                fmt::format("the database has schema version {}, this program knows versions up to {}: it "
                            "was written by a newer release, which must be used to open it",
                            current, newest));
  }
  for (const Migration& migration : migrations) {
    if (migration.version <= current) continue;
    session.execute_script(migration.sql);
    session.execute("INSERT INTO schema_migrations (version, name, applied_at) VALUES ($1, $2, $3)",
                    {migration.version, migration.name, unix_now()});
    log::info("db.migrated", {{"version", migration.version}, {"name", migration.name}});
  }
}

void migrate(Driver& driver, std::span<const Migration> migrations) {
  const auto session = driver.connect(Access::write);
  session->begin();
  try {
    migrate_in(*session, migrations);
    session->commit();
  } catch (...) {
    session->rollback();
    throw;
  }
}

}  // namespace hearth::db
