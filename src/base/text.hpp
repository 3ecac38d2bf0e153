// Small text functions that several layers need and no library here offers.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hearth::text {

bool is_valid_utf8(std::string_view bytes);
// Code points of valid UTF-8.
std::size_t count_code_points(std::string_view utf8);
// The longest prefix of at most `bytes` bytes that does not cut a code point.
std::string_view truncate_utf8(std::string_view utf8, std::size_t bytes);

std::string encode_base64(std::span<const std::byte> bytes);
// Standard alphabet, padding required; nullopt for anything else.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view bytes);

// SHA-256 of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  void add(std::string_view bytes);
  // Once, at the end.
  std::string finish_hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Levenshtein distance; for "did you mean".
std::size_t edit_distance(std::string_view left, std::string_view right);
// The candidate nearest to `word`, when it is near enough to be what was meant.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

bool equals_ignore_case(std::string_view left, std::string_view right);

}  // namespace hearth::text
