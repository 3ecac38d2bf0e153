#include "app/data_directory.hpp"

#include <filesystem>
#include <stdexcept>

#include <fmt/format.h>

#include "db/postgres.hpp"
#include "db/sqlite.hpp"
#include "store/schema.hpp"

namespace hearth::app {

namespace fs = std::filesystem;

namespace {

// Most of their time is spent waiting for the network.
constexpr std::size_t readers_of_postgres = 4;

}  // namespace

std::unique_ptr<db::Database> open_database(const Config& config) {
  std::error_code failure;
  if (fs::create_directories(config.data, failure)) {
    fs::permissions(config.data, fs::perms::owner_all, failure);
  }
  if (failure) {
    throw std::runtime_error(
        fmt::format("cannot make the data directory {}: {}", config.data, failure.message()));
  }
  if (!config.database.url.empty()) {
    return store::open_database(db::open_postgres({.url = config.database.url}),
                                {.readers = readers_of_postgres});
  }
  return store::open_database(db::open_sqlite({.file = config.database.path}));
}

bool database_exists(const Config& config) {
  return !config.database.url.empty() || fs::exists(config.database.path);
}

}  // namespace hearth::app
