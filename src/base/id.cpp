#include "base/id.hpp"

#include <array>
#include <cstdint>
#include <stdexcept>

#include <openssl/rand.h>

namespace hearth {
namespace {

constexpr std::string_view alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

void append_random(std::string& out, std::size_t length) {
  std::array<unsigned char, 64> bytes{};
  while (length > 0) {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
      throw std::runtime_error("the system's random generator failed");
    }
    for (unsigned char byte : bytes) {
      // 62 * 4 = 248: values above are dropped so that every character is equally likely.
      if (byte >= alphabet.size() * 4) continue;
      if (length == 0) break;
      out.push_back(alphabet[byte % alphabet.size()]);
      --length;
    }
  }
}

}  // namespace

std::string IdSource::make(std::string_view prefix) {
  std::string id;
  id.reserve(prefix.size() + 30);
  id.append(prefix);
  auto millis = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now().time_since_epoch()).count());
  std::array<char, 9> stamp{};
  for (std::size_t i = stamp.size(); i-- > 0; millis /= alphabet.size()) {
    stamp[i] = alphabet[millis % alphabet.size()];
  }
  id.append(stamp.data(), stamp.size());
  append_random(id, 21);
  return id;
}

std::string IdSource::secret(std::size_t length) {
  std::string out;
  out.reserve(length);
  append_random(out, length);
  return out;
}

}  // namespace hearth
