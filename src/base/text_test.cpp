#include "base/text.hpp"

#include <array>

#include <gtest/gtest.h>

namespace hearth::text {
namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(Text, KnowsUtf8) {
  for (std::string_view good : {"", "plain", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\xa5"}) {
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  }
  for (std::string_view bad : {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                               "\xf4\x90\x80\x80", "\xff", "a\xe2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
}

TEST(Text, CountsAndCutsCodePoints) {
  EXPECT_EQ(count_code_points("h\xc3\xa9llo"), 5u);
  EXPECT_EQ(truncate_utf8("h\xc3\xa9llo", 2), "h");
  EXPECT_EQ(truncate_utf8("h\xc3\xa9llo", 3), "h\xc3\xa9");
  EXPECT_EQ(truncate_utf8("short", 10), "short");
}

TEST(Text, Base64BothWays) {
  for (std::string_view text : {"", "a", "ab", "abc", "abcd"}) {
    EXPECT_EQ(decode_base64(encode_base64(bytes(text))), text);
  }
  EXPECT_EQ(encode_base64(bytes("ab")), "YWI=");
  for (std::string_view bad : {"YWI", "YW=I", "Y===", "YW I", "YWI=YWI="}) {
    EXPECT_FALSE(decode_base64(bad).has_value()) << bad;
  }
}

TEST(Text, HashesAsPublished) {
  // FIPS 180-2, appendix B.1
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Text, HashesInPieces) {
  Sha256 digest;
  digest.add("a");
  digest.add("bc");
  EXPECT_EQ(digest.finish_hex(), sha256_hex("abc"));
}

TEST(Text, FindsTheNearestWord) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  constexpr std::array<std::string_view, 3> words{"listen", "limits", "log"};
  EXPECT_EQ(nearest("listn", words), "listen");
  EXPECT_EQ(nearest("zzzzzz", words), std::nullopt);
}

}  // namespace
}  // namespace hearth::text
