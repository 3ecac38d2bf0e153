#include "base/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace hearth::text {

bool Utf8Checker::add_lead(unsigned char lead) {
  low_ = 0x80;
  high_ = 0xBF;
  if (lead < 0x80) return true;
  if (lead < 0xC2 || lead > 0xF4) return false;
  missing_ = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  if (lead == 0xE0) low_ = 0xA0;   // overlong below
  if (lead == 0xED) high_ = 0x9F;  // surrogates above
  if (lead == 0xF0) low_ = 0x90;   // overlong below
  if (lead == 0xF4) high_ = 0x8F;  // beyond U+10FFFF above
  return true;
}

bool Utf8Checker::add(std::string_view bytes) {
  constexpr std::uint64_t high_bits = 0x8080808080808080U;
  for (std::size_t at = 0; valid_ && at < bytes.size();) {
    if (missing_ == 0) {
      std::uint64_t word = 0;
      for (; at + sizeof word <= bytes.size(); at += sizeof word) {
        std::memcpy(&word, bytes.data() + at, sizeof word);
        if ((word & high_bits) != 0) break;
      }
      if (at == bytes.size()) break;
      valid_ = add_lead(static_cast<unsigned char>(bytes[at++]));
      continue;
    }
    const auto byte = static_cast<unsigned char>(bytes[at++]);
    valid_ = byte >= low_ && byte <= high_;
    low_ = 0x80;
    high_ = 0xBF;
    --missing_;
  }
  return valid_;
}

}  // namespace hearth::text
