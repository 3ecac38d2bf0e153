// For tests of db/ and store/ that hold on every engine: an empty database of the engine's, gone at the end.
//
// PostgreSQL is the server that HEARTH_POSTGRES names (tests/run.py starts one); without it its tests are
// skipped.
#pragma once

#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "db/postgres.hpp"
#include "db/sqlite.hpp"
#include "db/test_directory.hpp"

namespace hearth::db {

enum class Engine { sqlite, postgres };
inline constexpr std::array engines{Engine::sqlite, Engine::postgres};
inline std::string name_of(Engine engine) {
  return engine == Engine::sqlite ? "sqlite" : "postgres";
}

inline const char* postgres_server() {
  return std::getenv("HEARTH_POSTGRES");
}

class TestDatabase {
 public:
  explicit TestDatabase(Engine engine) : engine_(engine) {
    if (engine_ == Engine::sqlite || postgres_server() == nullptr) return;
    name_ = fmt::format("unit_{:08x}{:08x}", std::random_device()(), std::random_device()());
    administer(fmt::format("CREATE DATABASE {}", name_));
    const std::string server(postgres_server());
    url_ = fmt::format("{}/{}", server.substr(0, server.rfind('/')), name_);
  }
  ~TestDatabase() {
    if (!name_.empty()) administer(fmt::format("DROP DATABASE {} WITH (FORCE)", name_));
  }
  TestDatabase(const TestDatabase&) = delete;

  static bool is_available(Engine engine) { return engine == Engine::sqlite || postgres_server() != nullptr; }

  std::unique_ptr<Driver> open(std::chrono::milliseconds lock_timeout = std::chrono::seconds(5)) const {
    if (engine_ == Engine::sqlite) return open_sqlite({.file = file(), .busy_timeout = lock_timeout});
    return open_postgres({.url = url_, .lock_timeout = lock_timeout});
  }

  std::filesystem::path file() const { return directory_.path() / "test.db"; }
  const std::string& url() const { return url_; }

  // On the server, outside of this database.
  static void administer(const std::string& sql) {
    open_postgres({.url = postgres_server()})->connect(Access::write)->execute_script(sql);
  }

 private:
  Engine engine_;
  TestDirectory directory_;
  std::string name_;
  std::string url_;
};

}  // namespace hearth::db

// Parameter: an Engine. First thing in a SetUp().
#define HEARTH_SKIP_WITHOUT(engine)                    \
  if (!hearth::db::TestDatabase::is_available(engine)) \
  GTEST_SKIP() << "no PostgreSQL: HEARTH_POSTGRES is not set (tests/run.py sets it)"
