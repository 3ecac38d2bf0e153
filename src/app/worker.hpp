// `hearth worker`: the background of a server without its listener, for a second machine.
#pragma once

#include "app/config.hpp"

namespace hearth::app {

// Runs jobs until SIGTERM or SIGINT, then gives back what it holds. Needs the database that the servers use:
// PostgreSQL, or on the same machine the SQLite file. Throws std::exception with a message for the operator.
void run_worker(const Config& config);

}  // namespace hearth::app
