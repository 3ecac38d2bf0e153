#include "net/url.hpp"

#include <gtest/gtest.h>

#include "net/http_client.hpp"

namespace hearth::net {
namespace {

TEST(Url, DecodesAndEncodes) {
  EXPECT_EQ(decode_percent("a%2Fb+c%C3%a9"), "a/b+c\xC3\xA9");
  for (const auto* bad : {"%", "%2", "%zz", "a%2", "%00", "%-1"})
    EXPECT_FALSE(decode_percent(bad)) << bad;
  EXPECT_EQ(encode_percent("a b/\xC3\xA9~"), "a%20b%2F%C3%A9~");
  std::string all;
  for (int c = 1; c < 256; ++c)
    all += static_cast<char>(c);
  EXPECT_EQ(decode_percent(encode_percent(all)), all);
}

TEST(Url, ParsesQueries) {
  const auto pairs = parse_query("a=1&&b=x+y%26&metadata[k]=v=w&flag&a=2");
  ASSERT_TRUE(pairs);
  EXPECT_EQ(*pairs,
            (QueryPairs{{"a", "1"}, {"b", "x y&"}, {"metadata[k]", "v=w"}, {"flag", ""}, {"a", "2"}}));
  EXPECT_EQ(parse_query(render_query(*pairs)), pairs);
  EXPECT_TRUE(parse_query("")->empty());
  EXPECT_FALSE(parse_query("a=%"));
  EXPECT_FALSE(parse_query("%x=1"));
}

TEST(Origin, ParsesItsThreeForms) {
  std::string path;
  EXPECT_EQ(Origin::parse("http://host:81/v1?x", &path), (Origin{"http", "host", 81}));
  EXPECT_EQ(path, "/v1?x");
  EXPECT_EQ(Origin::parse("https://[::1]", &path), (Origin{"https", "::1", 443}));
  EXPECT_EQ(path, "");
  EXPECT_EQ(Origin::parse("unix:/run/x.sock"), (Origin{"unix", "/run/x.sock", 0}));
  EXPECT_EQ(Origin::parse("https://[::1]:8443")->host_header(), "[::1]:8443");
  EXPECT_EQ(Origin::parse("http://a.example")->host_header(), "a.example");
  for (const auto* bad :
       {"", "host", "ftp://x", "http://", "http://:80", "http://h:", "http://h:0", "http://h:99999",
        "http://h:8x", "http://user@h", "http://[::1", "http://[::1]x", "unix:", "unix:rel", "http://a b"})
    EXPECT_FALSE(Origin::parse(bad)) << bad;
}

}  // namespace
}  // namespace hearth::net
