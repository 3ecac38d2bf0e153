// The embedded driver: one SQLite file in WAL mode with synchronous=FULL.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "db/driver.hpp"

namespace hearth::db {

struct SqliteOptions {
  std::filesystem::path file;  // made with mode 0600 when absent; its folder must exist
  std::chrono::milliseconds busy_timeout{5000};
};

// Several processes may open the same file, on a local file system. Throws Error(unavailable).
std::unique_ptr<Driver> open_sqlite(SqliteOptions options);

// Whether another process has the file open. Only before this process opens it: afterwards the question would
// end the locks of its own.
bool is_open_elsewhere(const SqliteOptions& options);

}  // namespace hearth::db
