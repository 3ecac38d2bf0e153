// For tests of jobs/: the tables, from the store's migrations. This layer does not know the store, so they
// are read from their files.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "db/driver.hpp"
#include "db/test_database.hpp"

namespace hearth::jobs {

inline void make_tables(db::Driver& driver) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(HEARTH_MIGRATIONS))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  const auto session = driver.connect(db::Access::write);
  session->begin();
  for (const auto& file : files) {
    std::ostringstream sql;
    sql << std::ifstream(file).rdbuf();
    session->execute_script(sql.str());
  }
  session->execute_script(
      "INSERT INTO organizations (id, name, created_at) VALUES ('org-1', 'x', 1);"
      "INSERT INTO projects (id, organization_id, name, status, is_default, created_at) "
      "VALUES ('proj_1', 'org-1', 'x', 'active', 0, 1)");
  session->commit();
}

}  // namespace hearth::jobs
