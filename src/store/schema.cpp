#include "store/schema.hpp"

#include <fmt/format.h>

#include "db/sqlite.hpp"

namespace hearth::store {

std::unique_ptr<db::Database> open_database(std::unique_ptr<db::Driver> driver,
                                            db::Database::Options options) {
  db::migrate(*driver, migrations());
  return std::make_unique<db::Database>(std::move(driver), options);
}

std::unique_ptr<db::Database> open_data_directory(const std::filesystem::path& directory,
                                                  db::Database::Options options) {
  namespace fs = std::filesystem;
  std::error_code failure;
  if (fs::create_directories(directory, failure)) {
    // What clients wrote is nobody else's to read.
    fs::permissions(directory, fs::perms::owner_all, failure);
  }
  if (failure) {
    throw db::Error(db::ErrorKind::unavailable, fmt::format("cannot make the data directory {}: {}",
                                                            directory.string(), failure.message()));
  }
  return open_database(db::open_sqlite({.file = directory / "hearth.db"}), options);
}

}  // namespace hearth::store
