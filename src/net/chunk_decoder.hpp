// The chunked transfer coding, sans-io and strict: RFC 9112 section 7.1. Extensions and trailers are read
// over. Private to net/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace hearth::net {

class ChunkDecoder {
 public:
  // At most `line_limit` bytes of one chunk's header line, and of all trailers together.
  explicit ChunkDecoder(std::size_t line_limit) : line_limit_(line_limit) {}

  struct Step {
    std::size_t consumed = 0;
    std::size_t produced = 0;
  };
  // Until done(), the input or the room in `out` is used up; nullopt when the framing is broken.
  std::optional<Step> decode(std::string_view bytes, std::span<char> out);
  bool done() const { return state_ == State::done; }

 private:
  enum class State {
    size,
    extension,
    size_line_feed,
    data,
    data_carriage_return,
    data_line_feed,
    trailer_start,
    trailer,
    trailer_line_feed,
    last_line_feed,
    done,
  };
  // One byte of the framing; false when it may not stand there.
  bool step(char c);

  std::size_t line_limit_;
  State state_ = State::size;
  std::uint64_t left_ = 0;
  unsigned digits_ = 0;
  std::size_t line_bytes_ = 0;
};

}  // namespace hearth::net
