// UTF-8 that comes in pieces.
#pragma once

#include <string_view>

namespace hearth::text {

// Judges byte by byte: overlong forms, surrogates and what lies beyond U+10FFFF are refused at the first byte
// that no valid text has in its place.
class Utf8Checker {
 public:
  // False from that byte on, for good.
  bool add(std::string_view bytes);
  // Valid so far, and no code point is cut.
  bool complete() const { return valid_ && missing_ == 0; }

 private:
  bool add_lead(unsigned char lead);

  unsigned char missing_ = 0;  // continuation bytes of the current code point
  unsigned char low_ = 0x80;   // bounds of the next one
  unsigned char high_ = 0xBF;
  bool valid_ = true;
};

}  // namespace hearth::text
