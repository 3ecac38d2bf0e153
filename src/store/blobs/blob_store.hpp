// Bytes of any size under an id: files, parts of uploads, results. What every driver offers; the directory's
// is directory_blobs.hpp, and blob_conformance_test.cpp runs on each.
//
// A blob is written once and never changes. It exists whole or not at all: commit() returns when it is on the
// disk, and before that nobody finds it. A blob is committed before the row that names it is written; what no
// row names is an orphan, which orphan_sweep.hpp removes. So a handler that fails between the two has nothing
// to undo.
//
// Bytes go through in pieces, whatever the size. Everything that is read was compared with its checksum.
//
// Errors: ApiError 507 `insufficient_storage` when the disk is full, ApiError 503 `storage_unavailable` for
// any other failure of it, both logged with their cause; BlobDamaged when what was written did not come back.
// Cancellation: a call that has begun is finished.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.hpp"
#include "base/clock.hpp"
#include "base/id.hpp"

namespace hearth::store {

// The message names the blob and is for the log: a client learns of it as of any fault of ours.
class BlobDamaged : public std::runtime_error {
 public:
  BlobDamaged(BlobId blob, std::string_view what);
  const BlobId& blob() const { return blob_; }

 private:
  BlobId blob_;
};

struct BlobInfo {
  std::uint64_t size = 0;
  std::string sha256;  // hexadecimal
  bool operator==(const BlobInfo&) const = default;
};

// Thread: one coroutine at a time. Dies before its store.
class BlobReader {
 public:
  virtual ~BlobReader() = default;
  virtual const BlobInfo& info() const = 0;
  // Some of the bytes from `offset` on, at least one unless that is the end; fewer than `out` has room for as
  // it suits the driver.
  virtual Task<std::size_t> read(std::uint64_t offset, std::span<char> out) = 0;
};

// All bytes have come, nobody can find them yet: gone with this object unless it was committed.
class DraftBlob : public BlobReader {
 public:
  // That which the blob has once it is committed.
  virtual const BlobId& id() const = 0;
  // Returns when the blob will survive whatever happens. Once; when it throws, the blob is gone with this
  // object.
  virtual Task<void> commit() = 0;
};

// Thread: one coroutine at a time. Dies before its store; nothing of what was written remains unless seal()
// was called.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  // After an exception nothing more may be written.
  virtual Task<void> write(std::string_view bytes) = 0;
  // Once, at the end.
  virtual Task<std::unique_ptr<DraftBlob>> seal() = 0;
};

struct StoredBlob {
  BlobId id;
  UnixSeconds written_at;
};

struct BlobPage {
  std::vector<StoredBlob> blobs;
  std::string next;  // what list() takes for the page after this one; empty: there is none
};

// Owned by app/; outlives its readers and writers. Thread: any.
class BlobStore {
 public:
  virtual ~BlobStore() = default;
  virtual Task<std::unique_ptr<BlobWriter>> create() = 0;
  // Null when there is no such blob; its info() is all that is known of it.
  virtual Task<std::unique_ptr<BlobReader>> find(BlobId id) = 0;
  // Whoever reads it may go on. A blob that does not exist is no error.
  virtual Task<void> remove(BlobId id) = 0;

  // For the sweep: every blob that existed all the while is on some page. `cursor`: empty at first.
  virtual Task<BlobPage> list(std::string cursor) = 0;
  // Removes what processes that ended have left half-written and nobody has touched since; returns how many.
  virtual Task<std::size_t> remove_leftovers(UnixSeconds untouched_since) = 0;
};

}  // namespace hearth::store
