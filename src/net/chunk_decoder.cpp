#include "net/chunk_decoder.hpp"

#include <algorithm>
#include <cstring>

namespace hearth::net {
namespace {

constexpr unsigned most_digits = 15;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_text(char c) {
  return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

}  // namespace

std::optional<ChunkDecoder::Step> ChunkDecoder::decode(std::string_view bytes, std::span<char> out) {
  Step done_so_far;
  auto& [consumed, produced] = done_so_far;
  while (consumed < bytes.size() && state_ != State::done) {
    if (state_ != State::data) {
      if (!step(bytes[consumed])) return std::nullopt;
      ++consumed;
      continue;
    }
    const auto size = std::min<std::uint64_t>(
        {left_, bytes.size() - consumed, static_cast<std::uint64_t>(out.size() - produced)});
    if (size == 0) break;
    std::memmove(out.data() + produced, bytes.data() + consumed, size);
    consumed += size;
    produced += size;
    left_ -= size;
    if (left_ == 0) state_ = State::data_carriage_return;
  }
  return done_so_far;
}

bool ChunkDecoder::step(char c) {
  if (++line_bytes_ > line_limit_) return false;
  switch (state_) {
    case State::size:
      if (const int digit = hex_value(c); digit >= 0) {
        left_ = left_ * 16 + static_cast<unsigned>(digit);
        return ++digits_ <= most_digits;
      }
      if (digits_ == 0) return false;
      if (c == '\r') {
        state_ = State::size_line_feed;
      } else {
        state_ = State::extension;
        return c == ';' || c == ' ' || c == '\t';
      }
      return true;
    case State::extension:
      if (c == '\r') state_ = State::size_line_feed;
      return c == '\r' || is_text(c);
    case State::size_line_feed:
      state_ = left_ > 0 ? State::data : State::trailer_start;
      line_bytes_ = 0;
      return c == '\n';
    case State::data_carriage_return:
      state_ = State::data_line_feed;
      return c == '\r';
    case State::data_line_feed:
      state_ = State::size;
      digits_ = 0;
      line_bytes_ = 0;
      return c == '\n';
    case State::trailer_start:
      state_ = c == '\r' ? State::last_line_feed : State::trailer;
      return c == '\r' || (is_text(c) && c != ' ' && c != '\t');
    case State::trailer:
      if (c == '\r') state_ = State::trailer_line_feed;
      return c == '\r' || is_text(c);
    case State::trailer_line_feed:
      state_ = State::trailer_start;
      return c == '\n';
    case State::last_line_feed:
      state_ = State::done;
      return c == '\n';
    case State::data:
    case State::done:
      break;
  }
  return false;
}

}  // namespace hearth::net
