#include "net/web_socket_cases.hpp"

#include <string_view>

#include <fmt/format.h>

#include "net/test_socket.hpp"

namespace hearth::net::testing {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

using Cases = std::vector<SocketCase>;

constexpr FrameForm more{.final = false};

std::string text(std::string_view payload, const FrameForm& form = {}) {
  return frame(opcode::text, payload, form);
}
std::string rest(std::string_view payload, const FrameForm& form = {}) {
  return frame(opcode::continuation, payload, form);
}
std::string ping(std::string_view payload) {
  return frame(opcode::ping, payload);
}

void add_framing(Cases& cases) {
  for (const std::size_t size : {0, 1, 125, 126, 127, 128, 65535, 65536, 65537}) {
    const std::string letters(size, '*');
    cases.push_back({fmt::format("text of {}", size), text(letters), {"text:" + letters}});
    std::string bytes(size, '\xFE');
    cases.push_back({fmt::format("binary of {}", size), frame(opcode::binary, bytes), {"binary:" + bytes}});
  }
  cases.push_back({"another mask", text("abc", {.key = "\x00\x00\x00\x00"sv}), {"text:abc"}});
  cases.push_back({"messages in a row",
                   text("a") + text("") + frame(opcode::binary, "\0"sv) + text("b"),
                   {"text:a", "text:", "binary:\0"s, "text:b"}});
  cases.push_back({"no mask", text("abc", {.masked = false}), {"failed:1002"}});
  cases.push_back({"no mask and no payload", text("", {.masked = false}), {"failed:1002"}});
  cases.push_back({"a ping without a mask", frame(opcode::ping, "", {.masked = false}), {"failed:1002"}});
  cases.push_back({"length 5 in two bytes", text("abcde", {.length_bytes = 2}), {"failed:1002"}});
  cases.push_back({"length 5 in eight bytes", text("abcde", {.length_bytes = 8}), {"failed:1002"}});
  const std::string letters(65535, 'x');
  cases.push_back({"length 65535 in eight bytes", text(letters, {.length_bytes = 8}), {"failed:1002"}});
  cases.push_back(
      {"a negative length", text("a", {.length_bytes = 8, .length = 0x8000000000000001U}), {"failed:1002"}});
}

void add_pings(Cases& cases) {
  const std::string longest(125, '\xFE');
  cases.push_back({"ping", ping(""), {"ping:"}});
  cases.push_back({"ping with text", ping("Hello, world!"), {"ping:Hello, world!"}});
  cases.push_back({"ping with bytes",
                   ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff"sv),
                   {"ping:\x00\xff\xfe\xfd\xfc\xfb\x00\xff"s}});
  cases.push_back({"ping of 125", ping(longest), {"ping:" + longest}});
  cases.push_back({"ping of 126", ping(longest + 'x'), {"failed:1002"}});
  cases.push_back({"pong of 126", frame(opcode::pong, longest + 'x'), {"failed:1002"}});
  cases.push_back({"unasked pong", frame(opcode::pong, ""), {"pong:"}});
  cases.push_back({"unasked pong, then a ping",
                   frame(opcode::pong, "unasked") + ping("real"),
                   {"pong:unasked", "ping:real"}});
  SocketCase ten{"ten pings", "", {}};
  for (int i = 0; i < 10; ++i) {
    ten.bytes += ping(fmt::format("payload-{}", i));
    ten.expected.push_back(fmt::format("ping:payload-{}", i));
  }
  cases.push_back(ten);
}

void add_reserved_bits(Cases& cases) {
  for (int bits = 1; bits < 8; ++bits) {
    const FrameForm form{.reserved = bits};
    const auto name = fmt::format("reserved bits {} on ", bits);
    cases.push_back({name + "text", text("small", form), {"failed:1002"}});
    cases.push_back({name + "text behind a message",
                     text("good") + text("bad", form) + ping(""),
                     {"text:good", "failed:1002"}});
    cases.push_back({name + "a ping", frame(opcode::ping, "p", form), {"failed:1002"}});
    cases.push_back({name + "a close frame", frame(opcode::close, "", form), {"failed:1002"}});
    cases.push_back({name + "a continuation", text("a", more) + rest("b", form), {"failed:1002"}});
  }
}

void add_opcodes(Cases& cases) {
  for (const int code : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    cases.push_back({fmt::format("opcode {}", code), frame(code, ""), {"failed:1002"}});
    cases.push_back({fmt::format("opcode {} with a payload", code), frame(code, "payload"), {"failed:1002"}});
    cases.push_back({fmt::format("opcode {} behind a message", code),
                     text("good") + frame(code, "") + ping(""),
                     {"text:good", "failed:1002"}});
    cases.push_back({fmt::format("opcode {} within a message", code),
                     text("a", more) + frame(code, ""),
                     {"failed:1002"}});
  }
}

void add_fragmentation(Cases& cases) {
  cases.push_back({"two fragments", text("frag", more) + rest("ment"), {"text:fragment"}});
  cases.push_back({"three fragments", text("a", more) + rest("b", more) + rest("c"), {"text:abc"}});
  cases.push_back({"empty fragments", text("", more) + rest("", more) + rest(""), {"text:"}});
  cases.push_back(
      {"one full fragment of three", text("", more) + rest("middle", more) + rest(""), {"text:middle"}});
  cases.push_back(
      {"binary fragments", frame(opcode::binary, "\x00"sv, more) + rest("\xFF"), {"binary:\x00\xFF"s}});
  cases.push_back({"ping between fragments", text("a", more) + ping("p") + rest("b"), {"ping:p", "text:ab"}});
  cases.push_back({"pings between many fragments",
                   text("a", more) + ping("1") + rest("b", more) + ping("2") + rest("c", more) +
                       frame(opcode::pong, "3") + rest("d") + text("e"),
                   {"ping:1", "ping:2", "pong:3", "text:abcd", "text:e"}});
  cases.push_back({"fragmented ping", frame(opcode::ping, "p", more) + rest("q"), {"failed:1002"}});
  cases.push_back({"fragmented pong", frame(opcode::pong, "p", more) + rest("q"), {"failed:1002"}});
  cases.push_back({"fragmented close", frame(opcode::close, "", more), {"failed:1002"}});
  cases.push_back({"continuation without a start", rest("lost"), {"failed:1002"}});
  cases.push_back({"open continuation without a start", rest("lost", more) + text("a"), {"failed:1002"}});
  cases.push_back(
      {"continuation behind a whole message", text("whole") + rest("lost"), {"text:whole", "failed:1002"}});
  cases.push_back({"text within a text", text("a", more) + text("b"), {"failed:1002"}});
  cases.push_back({"binary within a text", text("a", more) + frame(opcode::binary, "b"), {"failed:1002"}});
  cases.push_back({"close within a message", text("a", more) + close_frame(1000), {"close:1000:"}});
  SocketCase many{"ten thousand fragments", text("", more), {"text:" + std::string(10'000, 'x')}};
  for (int i = 0; i < 10'000; ++i)
    many.bytes += rest("x", more);
  many.bytes += rest("");
  cases.push_back(many);
}

// Markus Kuhn's stress test, as far as it is about single sequences.
void add_utf8(Cases& cases) {
  const std::string_view valid[] = {
      "Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xC3\xBC\xC3\xA0\xC3\xA1-UTF-8!!",
      "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5",  // κόσμε
      "\0"sv,
      "\x7F",
      "\xC2\x80",
      "\xDF\xBF",
      "\xE0\xA0\x80",
      "\xEF\xBF\xBF",
      "\xF0\x90\x80\x80",
      "\xF4\x8F\xBF\xBF",
      "\xED\x9F\xBF",
      "\xEE\x80\x80",
      "\xEF\xBF\xBD",
      "\xEF\xBF\xBE",
      "\xF0\x9F\xBF\xBE",
      "\xF0\x9F\xBF\xBF",
      "\xF1\x8F\xBF\xBF",
      "\xF3\xBF\xBF\xBF",
  };
  int number = 0;
  for (const auto value : valid) {
    const auto name = fmt::format("valid UTF-8 {}", ++number);
    const std::vector<std::string> expected{"text:" + std::string(value)};
    cases.push_back({name, text(value), expected});
    SocketCase cut{name + ", a fragment for each byte", text("", more), expected};
    for (const char c : value)
      cut.bytes += rest(std::string_view(&c, 1), more);
    cut.bytes += rest("");
    cases.push_back(cut);
  }
  const std::string_view invalid[] = {
      "\x80",
      "\xBF",
      "\x80\xBF",
      "\x80\xBF\x80",
      "\xC0 ",
      "\xDF ",
      "\xE0 ",
      "\xEF ",
      "\xF0 ",
      "\xF7 ",
      "\xF8 ",
      "\xFC ",
      "\xFE",
      "\xFF",
      "\xFE\xFE\xFF\xFF",
      "\xC0",
      "\xE0\x80",
      "\xF0\x80\x80",
      "\xDF",
      "\xEF\xBF",
      "\xF4\x8F\xBF",  // cut
      "\xC0\xAF",
      "\xC1\xBF",
      "\xE0\x80\xAF",
      "\xE0\x9F\xBF",
      "\xF0\x80\x80\xAF",
      "\xF0\x8F\xBF\xBF",
      "\xC0\x80",
      "\xE0\x80\x80",
      "\xF0\x80\x80\x80",  // overlong
      "\xF8\x88\x80\x80\x80",
      "\xFC\x84\x80\x80\x80\x80",  // of five and six bytes
      "\xED\xA0\x80",
      "\xED\xAD\xBF",
      "\xED\xAE\x80",
      "\xED\xBF\xBF",
      "\xED\xA0\x80\xED\xB0\x80",
      "\xF4\x90\x80\x80",
      "\xF5\x80\x80\x80",
      "\xF7\xBF\xBF\xBF",  // beyond U+10FFFF
      "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80"
      "edited",
  };
  number = 0;
  for (const auto value : invalid) {
    const auto name = fmt::format("invalid UTF-8 {}", ++number);
    cases.push_back({name, text(value), {"failed:1007"}});
    SocketCase cut{name + ", a fragment for each byte", text("", more), {"failed:1007"}};
    for (const char c : value)
      cut.bytes += rest(std::string_view(&c, 1), more);
    cut.bytes += rest("");
    cases.push_back(cut);
    cases.push_back({name + " as binary", frame(opcode::binary, value), {"binary:" + std::string(value)}});
  }
  // At the first wrong byte: the rest of the frame never comes.
  const auto cut_frame = [](std::string_view payload) {
    return text(payload, {.length = payload.size() + 100});
  };
  for (const auto payload : {"good \xFF"sv, "good \xF4\x90"sv, "good \xED\xA0"sv, "good \xE0\x9F"sv,
                             "good \xF0\x8F"sv, "good \xC3 "sv, "good \xF8"sv})
    cases.push_back({fmt::format("the first wrong byte of an unfinished frame, {}", ++number),
                     cut_frame(payload),
                     {"failed:1007"}});
  cases.push_back(
      {"the first wrong byte of an unfinished message",
       text("\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5", more) + rest("\xF4", more) + rest("\x90", more),
       {"failed:1007"}});
}

void add_closing(Cases& cases) {
  const std::string longest(123, 'r');
  cases.push_back({"close without a code", frame(opcode::close, ""), {"close:1005:"}});
  cases.push_back({"close with half a code", frame(opcode::close, "\x03"), {"failed:1002"}});
  cases.push_back({"close with a reason", close_frame(1000, "Hello World!"), {"close:1000:Hello World!"}});
  cases.push_back({"close with the longest reason", close_frame(1000, longest), {"close:1000:" + longest}});
  cases.push_back({"close with too long a reason", close_frame(1000, longest + 'r'), {"failed:1002"}});
  cases.push_back({"a message, then close", text("last") + close_frame(1000), {"text:last", "close:1000:"}});
  cases.push_back({"close twice", close_frame(1000) + close_frame(1001), {"close:1000:"}});
  cases.push_back({"ping behind close", close_frame(1000) + ping("late"), {"close:1000:"}});
  cases.push_back({"text behind close", close_frame(1000) + text("late"), {"close:1000:"}});
  cases.push_back({"the end of a message behind close",
                   text("a", more) + close_frame(1000) + rest("b"),
                   {"close:1000:"}});
  cases.push_back(
      {"a broken frame behind close", close_frame(1000) + frame(5, "x", {.reserved = 7}), {"close:1000:"}});
  for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999})
    cases.push_back(
        {fmt::format("close with {}", code), close_frame(code), {fmt::format("close:{}:", code)}});
  for (const int code : {0, 1, 999, 1004, 1005, 1006, 1012, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    cases.push_back({fmt::format("close with {}", code), close_frame(code), {"failed:1002"}});
    cases.push_back(
        {fmt::format("close with {} and a reason", code), close_frame(code, "why"), {"failed:1002"}});
  }
  cases.push_back(
      {"a reason that is no UTF-8", close_frame(1000, "\xCE\xBA\xE1\xBD\xB9\xED\xA0\x80"), {"failed:1007"}});
  cases.push_back({"a reason that is cut", close_frame(1000, "\xCE"), {"failed:1007"}});
}

void add_limits(Cases& cases) {
  const std::string largest(case_message_bytes, 'm');
  cases.push_back({"the largest message", text(largest), {"text:" + largest}});
  cases.push_back({"one byte too many", text(largest + 'm'), {"failed:1009"}});
  cases.push_back({"too large when its first byte comes",
                   text("m", {.length = case_message_bytes + 1}),
                   {"failed:1009"}});
  cases.push_back({"2^62 bytes announced",
                   frame(opcode::binary, "m", {.length_bytes = 8, .length = 1ULL << 62}),
                   {"failed:1009"}});
  cases.push_back(
      {"too large in fragments", text(largest, more) + rest("", more) + rest("m"), {"failed:1009"}});
  cases.push_back(
      {"the limit is each message's", text(largest) + text(largest), {"text:" + largest, "text:" + largest}});
}

}  // namespace

std::vector<SocketCase> socket_cases() {
  Cases cases;
  add_framing(cases);
  add_pings(cases);
  add_reserved_bits(cases);
  add_opcodes(cases);
  add_fragmentation(cases);
  add_utf8(cases);
  add_closing(cases);
  add_limits(cases);
  return cases;
}

}  // namespace hearth::net::testing
