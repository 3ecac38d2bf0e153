// Which rows name blobs: what the sweep of orphans asks.
#pragma once

#include <span>
#include <string_view>

#include "db/database.hpp"
#include "store/blobs/orphan_sweep.hpp"

namespace hearth::store {

// A column of TEXT that holds ids of blobs, or null. Its name is `blob_id` or ends with `_blob_id`; it has an
// index.
struct BlobColumn {
  std::string_view table;
  std::string_view column;
};

// Every such column of the schema. A blob that none of them names is an orphan: blob_rows_test.cpp compares
// the list with the tables that the migrations make.
std::span<const BlobColumn> blob_columns();

// Asks all `columns` in one snapshot. `database` and `columns` outlive it.
FindNamedBlobs named_in(db::Database& database, std::span<const BlobColumn> columns);

}  // namespace hearth::store
