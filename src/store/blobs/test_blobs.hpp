// For tests of blobs: putting and reading them whole.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "async/runtime.hpp"
#include "store/blobs/blob_store.hpp"

namespace hearth::store {

// Bytes that repeat nowhere near: a block that stands in the place of another one is noticed.
inline std::string sample_bytes(std::size_t size, std::uint32_t seed = 1) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed * 2654435761U + 1;
  for (char& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

inline Task<std::unique_ptr<DraftBlob>> write_draft(BlobStore& blobs, std::string_view bytes,
                                                    std::size_t piece = 64 * 1024) {
  const auto writer = co_await blobs.create();
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    co_await writer->write(bytes.substr(at, piece));
  co_return co_await writer->seal();
}

inline Task<BlobId> put_blob(BlobStore& blobs, std::string_view bytes, std::size_t piece = 64 * 1024) {
  const auto draft = co_await write_draft(blobs, bytes, piece);
  co_await draft->commit();
  co_return draft->id();
}

inline Task<std::string> read_blob(BlobReader& reader, std::size_t piece = 50'000) {
  std::string bytes;
  std::string buffer(piece, '\0');
  while (const std::size_t got = co_await reader.read(bytes.size(), buffer))
    bytes.append(buffer, 0, got);
  co_return bytes;
}

// nullopt when there is no such blob.
inline Task<std::optional<std::string>> find_bytes(BlobStore& blobs, BlobId id) {
  const auto reader = co_await blobs.find(std::move(id));
  if (!reader) co_return std::nullopt;
  co_return co_await read_blob(*reader);
}

// Every blob that list() shows.
inline Task<std::vector<StoredBlob>> list_all(BlobStore& blobs) {
  std::vector<StoredBlob> all;
  std::string cursor;
  do {
    BlobPage page = co_await blobs.list(std::move(cursor));
    all.insert(all.end(), page.blobs.begin(), page.blobs.end());
    cursor = std::move(page.next);
  } while (!cursor.empty());
  co_return all;
}

}  // namespace hearth::store
