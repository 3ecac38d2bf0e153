// Blobs in a directory of this machine, or of one that several machines mount.
//
//   ROOT/drafts/blob_…   being written; renamed when it is committed
//   ROOT/XY/blob_…       XY: the last two characters of the id, so that no folder becomes large
//
// A draft is synchronised, renamed, and its folder synchronised, before commit() returns. All work on files
// is done on the blocking pool.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "async/blocking_pool.hpp"
#include "store/blobs/blob_store.hpp"
#include "store/blobs/file_calls.hpp"

namespace hearth::store {

class DirectoryBlobs final : public BlobStore {
 public:
  // Makes the directory, private, when it is absent. Blocking; throws std::runtime_error with a message for
  // the operator. `blocking` and `ids` outlive it, and `calls` outlives `blocking`.
  DirectoryBlobs(std::filesystem::path root, async::BlockingPool& blocking, IdSource& ids,
                 FileCalls& calls = FileCalls::system());

  Task<std::unique_ptr<BlobWriter>> create() override;
  Task<std::unique_ptr<BlobReader>> find(BlobId id) override;
  Task<void> remove(BlobId id) override;
  Task<BlobPage> list(std::string cursor) override;
  Task<std::size_t> remove_leftovers(UnixSeconds untouched_since) override;

 private:
  class File;
  class Draft;
  class Reader;
  class SealedDraft;
  class Writer;

  std::string path_of(const BlobId& id) const;
  std::string draft_path_of(const BlobId& id) const;
  // Makes the folder that the blob goes to, if need be so that it lasts; returns its path. Blocking.
  std::string prepare_folder(const BlobId& id);
  void sync_folder(const std::string& path);
  BlobPage list_folder_after(const std::string& cursor) const;
  std::size_t remove_drafts(UnixSeconds untouched_since);

  const std::string root_;
  async::BlockingPool& blocking_;
  IdSource& ids_;
  FileCalls& calls_;
  std::mutex mutex_;
  std::set<std::string> lasting_folders_;  // guarded by mutex_: their names are on the disk
};

}  // namespace hearth::store
