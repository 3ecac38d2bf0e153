// Rows in columns, for a terminal.
#pragma once

#include <string>
#include <vector>

namespace hearth::app {

// The first row is the heading; all have as many cells.
void print_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace hearth::app
