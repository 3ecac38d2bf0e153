#include "base/id.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <utility>

#include <openssl/rand.h>

namespace hearth {
namespace {

constexpr std::string_view alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// A stock of random bytes for ids, because a call of the generator costs more than the bytes. Each byte is
// used once; secrets never come from a stock.
class RandomStock {
 public:
  unsigned char next() {
    if (position_ == bytes_.size()) {
      fill(bytes_);
      position_ = 0;
    }
    return std::exchange(bytes_[position_++], 0);
  }
  static void fill(std::span<unsigned char> bytes) {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
      throw std::runtime_error("the system's random generator failed");
    }
  }

 private:
  std::array<unsigned char, 1024> bytes_{};
  std::size_t position_ = bytes_.size();
};

// `next` gives random bytes.
template <class Next>
void append_random(std::string& out, std::size_t length, Next next) {
  while (length > 0) {
    const unsigned char byte = next();
    // 62 * 4 = 248: values above are dropped so that every character is equally likely.
    if (byte >= alphabet.size() * 4) continue;
    out.push_back(alphabet[byte % alphabet.size()]);
    --length;
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
  thread_local RandomStock stock;
  append_random(id, 21, [] { return stock.next(); });
  return id;
}

std::string IdSource::secret(std::size_t length) {
  std::string out;
  out.reserve(length);
  append_random(out, length, [] {
    unsigned char byte = 0;
    RandomStock::fill({&byte, 1});
    return byte;
  });
  return out;
}

}  // namespace hearth
