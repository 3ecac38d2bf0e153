// The driver for PostgreSQL 13 and later over libpq, for installations with several servers.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "db/driver.hpp"

namespace hearth::db {

struct PostgresOptions {
  // postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=… as libpq reads it. What it leaves out comes from
  // PGPASSWORD, ~/.pgpass and their like.
  std::string url;
  std::chrono::milliseconds lock_timeout{10'000};    // for another server that writes; then Error(busy)
  std::chrono::milliseconds connect_timeout{5'000};  // whole seconds; unless the URL says
  std::chrono::milliseconds answer_timeout{
      60'000};  // for one statement; a script may take as long as it likes
  // Between two statements of a transaction. A server that stands still for longer loses its transaction, and
  // with it the locks; shorter than lock_timeout, so that those who wait for them get them.
  std::chrono::milliseconds pause_timeout{8'000};
};

// Whether `text` selects this driver.
bool is_postgres_url(std::string_view text);
// What is wrong with a URL, in words that hold no part of it (it may hold a password); nullopt when nothing
// is.
std::optional<std::string> find_url_fault(const std::string& url);

// Does not connect yet; connect() does. Lost connections are replaced where nothing is lost by it: before a
// transaction's first statement.
//
// change_token() has its own connection, on which every commit of another server is announced; while that is
// away, every call returns another token, so that caches are not believed. The thread behind it starts with
// the first call and ends with the driver.
std::unique_ptr<Driver> open_postgres(PostgresOptions options);

// Whether another server or command is connected to the database. Throws like connect().
bool is_open_elsewhere(const PostgresOptions& options);

}  // namespace hearth::db
