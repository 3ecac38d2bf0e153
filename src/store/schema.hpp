// The tables, and how a server opens its database.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "db/database.hpp"
#include "db/migrations.hpp"

namespace hearth::store {

// All of them, in order: the files of store/migrations/. A released one never changes: add the next.
std::span<const db::Migration> migrations();

// Migrates what `driver` points at and connects to it. Blocking; throws db::Error with a message for the
// operator. Database::Options: as there.
std::unique_ptr<db::Database> open_database(std::unique_ptr<db::Driver> driver,
                                            db::Database::Options options = {});

// The embedded database of a data directory, which is made when absent.
std::unique_ptr<db::Database> open_data_directory(const std::filesystem::path& directory,
                                                  db::Database::Options options = {});

}  // namespace hearth::store
