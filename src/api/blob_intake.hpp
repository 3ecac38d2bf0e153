// Files of forms as drafts in the blob store, and blobs as what a reply is made of.
#pragma once

#include <memory>

#include "contract/bytes.hpp"
#include "store/blobs/blob_store.hpp"

namespace hearth::api {

// A file becomes a blob when the handler keeps it. Outlived by the store.
class BlobIntake final : public contract::FileIntake {
 public:
  explicit BlobIntake(store::BlobStore& blobs) : blobs_(blobs) {}
  Task<std::unique_ptr<contract::FileSink>> open() override;

 private:
  store::BlobStore& blobs_;
};

// For StoredBytes: the blob's bytes; `reader` must exist.
std::unique_ptr<contract::ByteSource> blob_source(std::unique_ptr<store::BlobReader> reader);

}  // namespace hearth::api
