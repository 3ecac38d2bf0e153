// The directory of all lasting data.
#pragma once

#include <memory>

#include "app/config.hpp"
#include "db/database.hpp"

namespace hearth::app {

// The configured database, migrated. Makes the data directory, private, when it is absent; one that exists
// keeps its mode. Blocking; throws std::exception with a message for the operator.
std::unique_ptr<db::Database> open_database(const Config& config);

// Whether there is a database to read; one on a server is taken to be there.
bool database_exists(const Config& config);

}  // namespace hearth::app
