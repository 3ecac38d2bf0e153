#include "net/http_parser.hpp"

#include <gtest/gtest.h>

namespace hearth::net {
namespace {

struct Parsed {
  int status = 0;  // 0: complete; -1: more is needed
  RequestHead head;
  std::string body;
  std::string rest;
  bool keep_alive = false;
};

// Feeds `text` in pieces, as a session does.
Parsed parse(std::string_view text, std::size_t piece, std::size_t limit = 1024) {
  HttpParser parser(MessageKind::request, limit);
  Parsed result;
  std::string pending;
  std::size_t at = 0;
  while (!parser.head_done() || !parser.done()) {
    std::size_t consumed = 0;
    if (!parser.head_done()) {
      const auto step = parser.parse_head(pending);
      if (!step) return {.status = step.error().status};
      consumed = *step;
    } else {
      std::array<char, 5> out;
      const auto step = parser.parse_body(pending, out);
      if (!step) return {.status = step.error().status};
      consumed = step->consumed;
      result.body.append(out.data(), step->produced);
    }
    pending.erase(0, consumed);
    if (consumed == 0) {
      if (at >= text.size()) return {.status = -1};
      pending += text.substr(at, piece);
      at += piece;
    }
  }
  result.head = parser.request();
  result.keep_alive = parser.keep_alive();
  result.rest = pending + std::string(text.substr(std::min(at, text.size())));
  return result;
}

TEST(HttpParser, ParsesRequestsInPiecesOfAnySize) {
  constexpr std::string_view text =
      "POST /v1/x?y=%20 HTTP/1.1\r\nHost: h\r\nEmpty:\r\nX: \t a b \r\nx: 2\r\nTransfer-Encoding: "
      "chunked\r\n\r\n"
      "5;ext=1\r\nhello\r\n0c\r\n, wide world\r\n0\r\nTrailer: t\r\n\r\nGET /next";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const auto parsed = parse(text, piece);
    ASSERT_EQ(parsed.status, 0) << piece;
    EXPECT_EQ(parsed.head.method, "POST");
    EXPECT_EQ(parsed.head.path(), "/v1/x");
    EXPECT_EQ(parsed.head.query(), "y=%20");
    EXPECT_FALSE(parsed.head.content_length);
    EXPECT_EQ(parsed.head.headers.entries().size(), 5u);
    EXPECT_EQ(parsed.head.headers.get("x"), "a b");
    EXPECT_TRUE(parsed.head.headers.contains("EMPTY"));
    EXPECT_EQ(parsed.body, "hello, wide world");
    EXPECT_EQ(parsed.rest, "GET /next");
    EXPECT_TRUE(parsed.keep_alive);
  }
}

TEST(HttpParser, KnowsLengthsVersionsAndTargets) {
  const auto sized = parse("PUT / HTTP/1.1\r\nHost: h\r\ncontent-length: 3\r\n\r\nabcd", 4);
  EXPECT_EQ(sized.status, 0);
  EXPECT_EQ(sized.head.content_length, 3u);
  EXPECT_EQ(sized.body, "abc");
  EXPECT_EQ(sized.rest, "d");
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n", 99).keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 99).keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, close\r\n\r\n", 99).keep_alive);
  EXPECT_EQ(parse("GET http://h:1/a?b HTTP/1.1\r\nHost: h\r\n\r\n", 99).head.target, "/a?b");
  EXPECT_EQ(parse("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", 99).head.target, "/");
  EXPECT_EQ(parse("GET http://h?b HTTP/1.1\r\nHost: h\r\n\r\n", 99).head.target, "/?b");
  EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 99).head.target, "*");
}

TEST(HttpParser, RefusesWhatTwoPartiesCouldReadDifferently) {
  const std::string_view cases[] = {
      "garbage\r\n\r\n",
      "GET /\r\n\r\n",
      "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
      "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / a HTTP/1.1\r\nHost: h\r\n\r\n",
      "G(T / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET x HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
      "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "GET / HTTP/1.1\nHost: h\n\n",
      "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\nX : a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n",
      "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\na",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\na",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\na",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\na",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\na",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
      "identity\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\na\r\n0\r\n\r\n",
  };
  for (const auto text : cases) {
    for (const std::size_t piece : {1, 6, 10'000})
      EXPECT_EQ(parse(text, piece).status, 400) << text;
  }
}

TEST(HttpParser, KeepsTheHeaderLimit) {
  const std::string long_header = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(2000, 'x') + "\r\n\r\n";
  const std::string long_target = "GET /" + std::string(2000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n";
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 200; ++i)
    many += "X: 12345\r\n";
  many += "\r\n";
  for (const auto& text : {long_header, long_target, many}) {
    for (const std::size_t piece : {1, 100, 10'000})
      EXPECT_EQ(parse(text, piece).status, 431);
  }
  EXPECT_EQ(parse(long_header, 100, 4096).status, 0);
  EXPECT_EQ(parse(long_target, 100, 4096).status, 0);
  EXPECT_EQ(parse(many, 100, 4096).status, 431);  // by their number
  const std::string chunk = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;";
  EXPECT_EQ(parse(chunk + std::string(5000, 'x'), 100).status, 400);
}

}  // namespace
}  // namespace hearth::net
