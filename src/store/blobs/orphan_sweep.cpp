#include "store/blobs/orphan_sweep.hpp"

#include <utility>

namespace hearth::store {
namespace {

constexpr std::size_t largest_question = 500;  // blobs that the rows are asked about at once

Task<std::size_t> remove_unnamed(BlobStore& blobs, std::vector<BlobId> candidates,
                                 const FindNamedBlobs& find_named) {
  const std::set<BlobId> named = co_await find_named(candidates);
  std::size_t removed = 0;
  for (BlobId& id : candidates) {
    if (named.contains(id)) continue;
    co_await blobs.remove(std::move(id));
    ++removed;
  }
  co_return removed;
}

}  // namespace

Task<SweptBlobs> sweep_orphans(BlobStore& blobs, UnixSeconds now, std::chrono::seconds grace,
                               FindNamedBlobs find_named) {
  const UnixSeconds oldest_spared = now - grace.count();
  SweptBlobs swept;
  swept.leftovers = co_await blobs.remove_leftovers(oldest_spared);
  std::string cursor;
  do {
    BlobPage page = co_await blobs.list(std::move(cursor));
    std::vector<BlobId> candidates;
    for (StoredBlob& blob : page.blobs) {
      if (blob.written_at >= oldest_spared) continue;
      candidates.push_back(std::move(blob.id));
      if (candidates.size() == largest_question)
        swept.orphans += co_await remove_unnamed(blobs, std::exchange(candidates, {}), find_named);
    }
    if (!candidates.empty())
      swept.orphans += co_await remove_unnamed(blobs, std::move(candidates), find_named);
    cursor = std::move(page.next);
  } while (!cursor.empty());
  co_return swept;
}

}  // namespace hearth::store
