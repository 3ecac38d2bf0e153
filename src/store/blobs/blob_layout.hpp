// How a blob's file is laid out: its bytes as they are, then a checksum for each block of them, then a
// footer.
//
//   ┌ block 0 ┬ block 1 ┬ … ┬ last, shorter ┐┌ CRC-32 of each, 4 bytes ┐┌ footer, 64 bytes ┐
//
// The bytes come first so that an offset in the blob is one in the file. Checksums of blocks let a range be
// verified without reading the rest. Pure: no file is touched here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/id.hpp"
#include "store/blobs/blob_store.hpp"

namespace hearth::store {

inline constexpr std::size_t block_bytes = 64 * 1024;
inline constexpr std::size_t sum_bytes = 4;
inline constexpr std::size_t footer_bytes = 64;

constexpr std::uint64_t count_blocks(std::uint64_t size) {
  return (size + block_bytes - 1) / block_bytes;
}
// The size of the whole file.
constexpr std::uint64_t file_bytes(std::uint64_t size) {
  return size + count_blocks(size) * sum_bytes + footer_bytes;
}
// Where the checksum of a block stands.
constexpr std::uint64_t sum_offset(std::uint64_t size, std::uint64_t block) {
  return size + block * sum_bytes;
}

using Sum = std::array<char, sum_bytes>;
Sum sum_of(std::string_view block);

// `info.sha256` is one of 64 hexadecimal digits.
std::string render_footer(const BlobInfo& info);
// nullopt for anything that render_footer() did not write for a file of that many bytes.
std::optional<BlobInfo> parse_footer(std::string_view footer, std::uint64_t bytes_of_file);

// Whether the text is the id of a blob: only such a one becomes a path.
inline constexpr std::string_view blob_prefix = "blob_";
bool is_blob_id(std::string_view text);
bool is_id_character(char c);

}  // namespace hearth::store
