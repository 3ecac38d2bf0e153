#include "store/blobs/blob_layout.hpp"

#include <algorithm>
#include <zlib.h>

#include <boost/algorithm/hex.hpp>
#include <boost/endian/conversion.hpp>

#include "base/text.hpp"

namespace hearth::store {
namespace {

constexpr std::size_t magic_bytes = 16;
constexpr std::string_view magic("hearth-blob-1\n\0\0", magic_bytes);
constexpr std::size_t digest_bytes = 32;
constexpr std::size_t reserved_bytes = 4;
constexpr std::size_t id_length = 30;  // behind the prefix

static_assert(magic_bytes + sizeof(std::uint64_t) + digest_bytes + reserved_bytes + sum_bytes ==
              footer_bytes);

template <class Number>
void append_number(std::string& out, Number number) {
  const Number little = boost::endian::native_to_little(number);
  out.append(reinterpret_cast<const char*>(&little), sizeof little);
}

}  // namespace

BlobDamaged::BlobDamaged(BlobId blob, std::string_view what)
    : std::runtime_error("the blob " + blob.str() + " is damaged: " + std::string(what)),
      blob_(std::move(blob)) {}

Sum sum_of(std::string_view block) {
  const auto sum = boost::endian::native_to_little(
      static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(block.data()), block.size())));
  Sum out;
  std::copy_n(reinterpret_cast<const char*>(&sum), sum_bytes, out.begin());
  return out;
}

std::string render_footer(const BlobInfo& info) {
  std::string footer(magic);
  append_number(footer, info.size);
  boost::algorithm::unhex(info.sha256, std::back_inserter(footer));
  footer.append(reserved_bytes, '\0');
  const Sum sum = sum_of(footer);
  footer.append(sum.begin(), sum.end());
  return footer;
}

std::optional<BlobInfo> parse_footer(std::string_view footer, std::uint64_t bytes_of_file) {
  if (footer.size() != footer_bytes) return std::nullopt;
  const Sum sum = sum_of(footer.substr(0, footer_bytes - sum_bytes));
  if (footer.substr(footer_bytes - sum_bytes) != std::string_view(sum.data(), sum.size()) ||
      !footer.starts_with(magic)) {
    return std::nullopt;
  }
  footer.remove_prefix(magic_bytes);
  BlobInfo info;
  info.size = boost::endian::load_little_u64(reinterpret_cast<const unsigned char*>(footer.data()));
  footer.remove_prefix(sizeof(std::uint64_t));
  info.sha256 = text::encode_hex(std::as_bytes(std::span(footer.substr(0, digest_bytes))));
  if (info.size > bytes_of_file || file_bytes(info.size) != bytes_of_file) return std::nullopt;
  return info;
}

bool is_blob_id(std::string_view text) {
  if (!text.starts_with(blob_prefix) || text.size() != blob_prefix.size() + id_length) return false;
  return std::ranges::all_of(text.substr(blob_prefix.size()), is_id_character);
}

bool is_id_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

}  // namespace hearth::store
