// All rows of one database into another, whatever engines they are, and the proof that they are the same.
//
// Blocking. Both sessions are in a transaction of the caller's: the source in a snapshot, the target alone
// with the right to write. Tables and keys are what the databases themselves say, so that no table can be
// forgotten.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "db/driver.hpp"

namespace hearth::db {

struct CopiedTable {
  std::string name;
  std::int64_t rows;
  std::string sha256;  // of all rows, whatever their order
};

// Those that `tables` refer to come before them. Throws Error(statement) for a circle, a table that refers to
// itself, and one without a primary key.
std::vector<Table> order_by_references(std::vector<Table> tables);

// Replaces everything in the target's tables, but for those in `left_out`, and verifies. Throws
// Error(statement) when the two have other tables or columns.
std::vector<CopiedTable> copy_rows(Session& source, Session& target, std::span<const std::string> left_out);

// Reads both tables in the order of their keys. Throws Error(unavailable) when they differ.
CopiedTable verify_table(Session& source, Session& target, const Table& table);

}  // namespace hearth::db
