// A table as the database itself describes it; for what works on any schema.
#pragma once

#include <string>
#include <vector>

namespace hearth::db {

struct Table {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::string> key;         // of the primary key, in its order
  std::vector<std::string> references;  // tables that its foreign keys point to
};

}  // namespace hearth::db
