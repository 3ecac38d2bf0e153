#include "app/db_command.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "app/config_load.hpp"
#include "db/copy.hpp"
#include "db/migrations.hpp"
#include "db/postgres.hpp"
#include "db/sqlite.hpp"
#include "store/schema.hpp"

namespace hearth::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view sqlite_scheme = "sqlite:";

[[noreturn]] void fail(std::string message) {
  throw std::runtime_error(std::move(message));
}

// One side of the copy. `flag` names it in messages: a URL may hold a password.
class Place {
 public:
  Place(std::string flag, const std::string& address) : flag_(std::move(flag)) {
    if (address.starts_with(sqlite_scheme) && address.size() > sqlite_scheme.size()) {
      file_ = fs::absolute(address.substr(sqlite_scheme.size()));
      return;
    }
    if (db::is_postgres_url(address)) {
      if (const auto fault = db::find_url_fault(address))
        throw ConfigError(fmt::format("{}: {}", flag_, *fault));
      url_ = address;
      return;
    }
    throw ConfigError(fmt::format("{}: expected sqlite:PATH or postgresql://…", flag_));
  }

  const std::string& flag() const { return flag_; }
  const std::optional<fs::path>& file() const { return file_; }
  bool is_same_file(const Place& other) const {
    std::error_code ignored;
    return file_ && other.file_ && (*file_ == *other.file_ || fs::equivalent(*file_, *other.file_, ignored));
  }

  // Call it before this process connects. SQLite gives a certain answer; for PostgreSQL the names of its
  // connections tell.
  void refuse_when_in_use() const {
    const bool in_use = file_ ? db::is_open_elsewhere(db::SqliteOptions{.file = *file_})
                              : db::is_open_elsewhere(db::PostgresOptions{.url = url_});
    if (in_use) fail(fmt::format("{}: a server or a command has this database open; stop it first", flag_));
  }
  std::unique_ptr<db::Session> connect(db::Access access) {
    if (file_) {
      driver_ = db::open_sqlite({.file = *file_});
    } else {
      driver_ = db::open_postgres({.url = url_});
    }
    return driver_->connect(access);
  }

 private:
  std::string flag_;
  std::optional<fs::path> file_;
  std::string url_;
  std::unique_ptr<db::Driver> driver_;
};

void check_source(db::Session& source, const Place& place) {
  const auto tables = source.list_tables();
  if (std::ranges::find(tables, db::migrations_table, &db::Table::name) == tables.end()) {
    fail(fmt::format("{}: this is not the database of a Hearth installation", place.flag()));
  }
  const int version = db::schema_version(source);
  const int newest = store::migrations().back().version;
  if (version < newest) {
    fail(fmt::format(
        "{}: the database has schema version {}, this release writes {}: start its server on it once, "
        "which migrates it",
        place.flag(), version, newest));
  }
  if (version > newest)
    fail(fmt::format("{}: the database was written by a newer release, which must copy it", place.flag()));
}

void check_target(db::Session& target, const Place& place) {
  const auto tables = target.list_tables();
  if (tables.empty()) return;
  fail(fmt::format("{}: the database is not empty, it has the table {} (and {} more); copy into an empty one",
                   place.flag(), tables.front().name, tables.size() - 1));
}

void print(const std::vector<db::CopiedTable>& tables) {
  std::size_t width = std::string_view("table").size();
  for (const db::CopiedTable& table : tables)
    width = std::max(width, table.name.size());
  fmt::print("{:<{}}  {:>10}  sha256 of the rows\n", "table", width, "rows");
  std::int64_t rows = 0;
  for (const db::CopiedTable& table : tables) {
    fmt::print("{:<{}}  {:>10}  {}\n", table.name, width, table.rows, table.sha256);
    rows += table.rows;
  }
  fmt::print("{} rows of {} tables copied and verified\n", rows, tables.size());
}

}  // namespace

void copy_database(const CopyRequest& request) {
  Place from("--from", request.from);
  Place to("--to", request.to);
  if (from.file() && !fs::exists(*from.file()))
    fail(fmt::format("--from: there is no file {}", from.file()->string()));
  if (from.is_same_file(to)) fail("--from and --to are the same file");
  from.refuse_when_in_use();
  if (!to.file() || fs::exists(*to.file())) to.refuse_when_in_use();

  const auto source = from.connect(db::Access::read);
  source->begin();
  check_source(*source, from);
  const auto target = to.connect(db::Access::write);
  target->begin();
  check_target(*target, to);
  db::migrate_in(*target, store::migrations());
  const std::array left_out{std::string(db::migrations_table)};
  const auto copied = db::copy_rows(*source, *target, left_out);
  target->commit();
  source->rollback();
  print(copied);
}

}  // namespace hearth::app
