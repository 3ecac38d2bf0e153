#include "contract/text_forms.hpp"

#include <array>
#include <cstdint>

namespace hearth::contract {
namespace {

constexpr auto base64_alphabet = [] {
  std::array<bool, 256> result{};
  for (char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")) {
    result[static_cast<unsigned char>(c)] = true;
  }
  return result;
}();

}  // namespace

bool matches(const Pattern& pattern, std::string_view text) {
  std::size_t at = 0;
  for (const PatternAtom& atom : pattern.atoms) {
    std::uint32_t count = 0;
    while (at < text.size() && count < atom.max) {
      const auto byte = static_cast<unsigned char>(text[at]);
      if ((atom.bytes[byte >> 6] >> (byte & 63) & 1) == 0) break;
      ++at;
      ++count;
    }
    if (count < atom.min) return false;
  }
  return at == text.size();
}

bool is_uri(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) return false;
  for (std::size_t i = 0; i < colon; ++i) {
    const char c = text[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    if (!letter && (i == 0 || !other)) return false;
  }
  return static_cast<unsigned char>(text[colon + 1]) > 0x20;
}

bool is_base64(std::string_view text) {
  if (text.size() % 4 != 0) return false;
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding)
    text.remove_suffix(1);
  for (char c : text) {
    if (!base64_alphabet[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

}  // namespace hearth::contract
