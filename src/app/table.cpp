#include "app/table.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"

namespace hearth::app {

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], text::count_code_points(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      line += row[i] + std::string(widths[i] - text::count_code_points(row[i]) + 2, ' ');
    fmt::print("{}{}\n", line, row.back());
  }
}

}  // namespace hearth::app
