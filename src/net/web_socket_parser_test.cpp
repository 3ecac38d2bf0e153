#include "net/web_socket_parser.hpp"

#include <gtest/gtest.h>

#include "base/text.hpp"
#include "net/test_socket.hpp"
#include "net/web_socket_cases.hpp"

namespace hearth::net {
namespace {

using testing::frame;
using testing::SocketCase;

// Everything that the parser makes of the bytes, fed in pieces.
std::vector<std::string> events_of(std::string_view bytes, std::size_t piece) {
  using Event = WebSocketParser::Event;
  WebSocketParser parser(testing::case_message_bytes);
  std::vector<std::string> events;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    parser.feed(bytes.substr(at, piece));
    for (auto event = parser.next(); event != Event::need_more; event = parser.next()) {
      if (event == Event::message) {
        auto message = parser.take_message();
        events.push_back((message.kind == SocketMessage::Kind::text ? "text:" : "binary:") + message.data);
      } else if (event == Event::ping || event == Event::pong) {
        events.push_back((event == Event::ping ? "ping:" : "pong:") + std::string(parser.payload()));
      } else if (event == Event::close) {
        events.push_back("close:" + std::to_string(parser.close_code()) + ":" + parser.close_reason());
      } else {
        EXPECT_FALSE(parser.close_reason().empty());
        events.push_back("failed:" + std::to_string(parser.close_code()));
      }
    }
  }
  return events;
}

std::string shown(const std::vector<std::string>& events) {
  std::string text;
  for (const auto& event : events)
    text += event.substr(0, 40) + "(" + std::to_string(event.size()) + ") ";
  return text;
}

TEST(WebSocketParser, MakesTheSameOfEveryCaseHoweverItArrives) {
  const auto cases = testing::socket_cases();
  EXPECT_GT(cases.size(), 300u);
  for (const auto& one : cases) {
    for (const std::size_t piece : {one.bytes.size(), std::size_t{1}, std::size_t{3}, std::size_t{4096}}) {
      const auto events = events_of(one.bytes, piece);
      EXPECT_TRUE(events == one.expected) << one.name << " in pieces of " << piece << ": " << shown(events)
                                          << " instead of " << shown(one.expected);
    }
  }
}

TEST(WebSocketParser, HoldsNoMoreThanWhatCame) {
  WebSocketParser parser(1 << 30);
  const auto bytes = testing::frame(testing::opcode::binary, "abc", {.length = 1 << 29});
  parser.feed(bytes);
  EXPECT_EQ(parser.next(), WebSocketParser::Event::need_more);
  EXPECT_TRUE(parser.is_amid_message());
  EXPECT_EQ(parser.message_bytes(), 3u);
}

TEST(WebSocketFrames, AreWhatAClientReads) {
  for (const std::size_t size : {0, 125, 126, 65535, 65536}) {
    std::string out;
    const std::string data(size, 'd');
    append_message_frame(out, {SocketMessage::Kind::binary, data});
    append_message_frame(out, {SocketMessage::Kind::text, data});
    const auto binary = testing::take_frame(out);
    const auto text = testing::take_frame(out);
    ASSERT_TRUE(binary && text);
    EXPECT_EQ(binary->code, testing::opcode::binary);
    EXPECT_EQ(text->code, testing::opcode::text);
    EXPECT_TRUE(binary->final && text->final && binary->payload == data && text->payload == data);
    EXPECT_TRUE(out.empty());
  }
}

TEST(WebSocketFrames, CutAReasonBetweenCodePoints) {
  std::string out;
  std::string reason(122, 'r');
  append_close_frame(out, close_code::normal, reason + "\xC3\xB6 and more");
  const auto close = testing::take_frame(out);
  ASSERT_TRUE(close);
  EXPECT_EQ(close->close_code(), 1000);
  EXPECT_EQ(close->close_reason(), reason);
  append_close_frame(out, close_code::none_given, "unsaid");
  EXPECT_EQ(out, std::string("\x88\x00", 2));
}

}  // namespace
}  // namespace hearth::net
