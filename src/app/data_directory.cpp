#include "app/data_directory.hpp"

#include <filesystem>

#include "db/sqlite.hpp"
#include "store/schema.hpp"

namespace hearth::app {

namespace fs = std::filesystem;

std::unique_ptr<db::Database> open_database(const Config& config) {
  if (fs::create_directories(config.data)) fs::permissions(config.data, fs::perms::owner_all);
  return store::open_database(db::open_sqlite({.file = config.database.path}));
}

bool database_exists(const Config& config) {
  return fs::exists(config.database.path);
}

}  // namespace hearth::app
