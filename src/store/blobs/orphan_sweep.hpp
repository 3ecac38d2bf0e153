// Blobs that no row names are removed: those of handlers that failed between the blob and its row, and those
// whose row was deleted.
//
// The rows belong to others, who are asked. A blob younger than the grace time may be waiting for its row, so
// it is not asked for; whoever commits a blob writes the row within that time, or not at all.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <set>
#include <vector>

#include "store/blobs/blob_store.hpp"

namespace hearth::store {

// Returns those of these blobs that some row names, whoever the row belongs to. What it throws ends the
// sweep.
using FindNamedBlobs = std::function<Task<std::set<BlobId>>(std::vector<BlobId>)>;

struct SweptBlobs {
  std::size_t orphans = 0;
  std::size_t leftovers = 0;  // half-written ones
};

// Once through all blobs. Any number of processes may sweep the same store at the same time.
Task<SweptBlobs> sweep_orphans(BlobStore& blobs, UnixSeconds now, std::chrono::seconds grace,
                               FindNamedBlobs find_named);

}  // namespace hearth::store
