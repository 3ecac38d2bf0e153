// A hash that nobody outside this process can compute: for tables in memory that are looked up by a secret.
//
// SipHash-2-4 with 128 bits (Aumasson, Bernstein 2012) under a random key of its own. It costs a fifth of the
// SHA-256 that is stored, and is never stored itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace hearth::store {

// Thread: any.
class KeyedHash {
 public:
  using Digest = std::array<std::byte, 16>;
  // Its bits are random as they are.
  struct Bucket {
    std::size_t operator()(const Digest& digest) const noexcept {
      std::size_t first = 0;
      std::memcpy(&first, digest.data(), sizeof first);
      return first;
    }
  };

  // Throws std::runtime_error when the system has no random bytes.
  KeyedHash();
  Digest operator()(std::string_view bytes) const;

 private:
  std::array<unsigned char, 16> key_{};
};

}  // namespace hearth::store
