#include "net/sse.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace hearth::net {
namespace {

std::vector<SseEvent> parse(std::string_view text, std::size_t piece) {
  SseParser parser;
  std::vector<SseEvent> events;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    parser.feed(text.substr(at, piece));
    while (auto event = parser.next())
      events.push_back(std::move(*event));
  }
  EXPECT_FALSE(parser.failed());
  return events;
}

TEST(Sse, ParsesInPiecesOfAnySize) {
  constexpr std::string_view text =
      "\xEF\xBB\xBF: comment\nevent: one\ndata: a\ndata:  b\n\n"
      "data:c\r\ndata\r\n\r\nid: 7\rretry: 3\rdata: d\r\revent: dropped\n\ndata: {\"x\":1}\n\ndata: "
      "unfinished\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const auto events = parse(text, piece);
    ASSERT_EQ(events.size(), 4u) << piece;
    EXPECT_EQ(events[0].event, "one");
    EXPECT_EQ(events[0].data, "a\n b");
    EXPECT_EQ(events[1].event, "");
    EXPECT_EQ(events[1].data, "c\n");
    EXPECT_EQ(events[2].data, "d");
    EXPECT_EQ(events[3].event, "");
    EXPECT_EQ(events[3].data, "{\"x\":1}");
  }
}

TEST(Sse, RendersWhatItParses) {
  std::string text;
  render_sse(text, "", "{}");
  EXPECT_EQ(text, "data: {}\n\n");
  render_sse(text, "na\nme", "line\r\nline\rline\n");
  render_sse(text, "e", "");
  const auto events = parse(text, 3);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].event, "name");
  EXPECT_EQ(events[1].data, "line\nline\nline\n");
  EXPECT_EQ(events[2].data, "");
}

TEST(Sse, RefusesAnEventWithoutEnd) {
  SseParser lines(100);
  for (int i = 0; i < 10; ++i) {
    lines.feed("data: 0123456789012345\n");
    EXPECT_FALSE(lines.next());
  }
  EXPECT_TRUE(lines.failed());
  SseParser one_line(100);
  one_line.feed(std::string(101, 'x'));
  EXPECT_FALSE(one_line.next());
  EXPECT_TRUE(one_line.failed());
  one_line.feed("\ndata: a\n\n");
  EXPECT_FALSE(one_line.next());
}

}  // namespace
}  // namespace hearth::net
