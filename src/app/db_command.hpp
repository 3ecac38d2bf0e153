// hearth db …: what operators do to a database as a whole. Blocking; failures are exceptions with a message.
#pragma once

#include <string>

namespace hearth::app {

struct CopyRequest {
  std::string from;  // sqlite:PATH or postgresql://…
  std::string to;
};

// Copies an installation into an empty database, in one transaction that is committed only after every row
// was compared, and prints the tables. Throws ConfigError for an invalid address.
void copy_database(const CopyRequest& request);

}  // namespace hearth::app
