#include "net/http_conditions.hpp"

#include <gtest/gtest.h>

#include "base/text.hpp"

namespace hearth::net {
namespace {

using Kind = Selection::Kind;

constexpr UnixSeconds modified = 1'745'913'600;  // Tue, 29 Apr 2025 08:00:00 GMT
constexpr std::string_view same_date = "Tue, 29 Apr 2025 08:00:00 GMT";
constexpr std::string_view before = "Tue, 29 Apr 2025 07:59:59 GMT";
constexpr std::string_view after = "Tue, 29 Apr 2025 08:00:01 GMT";
const Validators both{.etag = "\"abc\"", .last_modified = modified};

using Fields = std::vector<std::pair<std::string, std::string>>;

Selection select(const Fields& fields, std::string_view method = "GET", std::uint64_t size = 100,
                 const Validators& validators = both) {
  Headers headers;
  for (const auto& [name, value] : fields)
    headers.add(name, value);
  return select_bytes(method, headers, validators, size);
}

std::string describe(const Selection& selection) {
  switch (selection.kind) {
    case Kind::whole:
      return selection.offset == 0 ? "whole" : "whole, but from an offset";
    case Kind::part:
      return std::to_string(selection.offset) + "+" + std::to_string(selection.length);
    case Kind::not_modified:
      return "304";
    case Kind::precondition_failed:
      return "412";
    case Kind::unsatisfiable:
      return "416";
  }
  return "?";
}

// RFC 9110, section 14.1.2, on 100 bytes.
TEST(Ranges, AreReadAsTheStandardSays) {
  struct Case {
    std::string_view range;
    std::string_view expected;
  };
  for (const auto& [range, expected] : std::initializer_list<Case>{
           {"bytes=0-0", "0+1"},
           {"bytes=0-99", "0+100"},
           {"bytes=10-19", "10+10"},
           {"bytes=10-", "10+90"},
           {"bytes=99-", "99+1"},
           {"bytes=90-1000", "90+10"},
           {"bytes=-1", "99+1"},
           {"bytes=-100", "0+100"},
           {"bytes=-1000", "0+100"},
           {"BYTES=1-2", "1+2"},
           {" bytes= 1-2 ", "1+2"},
           {"bytes=50-18446744073709551615", "50+50"},
           {"bytes=50-99999999999999999999999", "50+50"},
           {"bytes=-99999999999999999999999", "0+100"},
           // Beyond the end, or nothing of it.
           {"bytes=100-", "416"},
           {"bytes=100-200", "416"},
           {"bytes=99999999999999999999999-", "416"},
           {"bytes=-0", "416"},
           // Ignored: other units, several, malformed.
           {"seconds=1-2", "whole"},
           {"bytes=0-0,2-3", "whole"},
           {"bytes=0-0, -1", "whole"},
           {"bytes=20-10", "whole"},
           {"bytes=", "whole"},
           {"bytes=-", "whole"},
           {"bytes", "whole"},
           {"", "whole"},
           {"bytes=a-b", "whole"},
           {"bytes=1-b", "whole"},
           {"bytes=1", "whole"},
           {"bytes=1-2-3", "whole"},
           {"bytes=+1-2", "whole"},
           {"bytes=1 -2", "whole"},
           {"bytes=0x1-2", "whole"},
           {"bytes=--1", "whole"},
       }) {
    EXPECT_EQ(describe(select({{"Range", std::string(range)}})), expected) << range;
  }
}

TEST(Ranges, OfNothing) {
  EXPECT_EQ(describe(select({{"range", "bytes=0-"}}, "GET", 0)), "416");
  EXPECT_EQ(describe(select({{"range", "bytes=0-0"}}, "GET", 0)), "416");
  EXPECT_EQ(describe(select({{"range", "bytes=-5"}}, "GET", 0)), "whole");
  EXPECT_EQ(describe(select({{"range", "bytes=-0"}}, "GET", 0)), "416");
  EXPECT_EQ(describe(select({}, "GET", 0)), "whole");
}

TEST(Ranges, AreForGetOnly) {
  EXPECT_EQ(describe(select({{"range", "bytes=0-0"}}, "HEAD")), "whole");
  EXPECT_EQ(describe(select({{"range", "bytes=500-"}}, "HEAD")), "whole");
  EXPECT_EQ(describe(select({{"range", "bytes=0-0"}}, "POST")), "whole");
}

// RFC 9110, section 13.2.2: each condition alone, then their precedence.
TEST(Conditions, AreJudgedInTheOrderOfTheStandard) {
  struct Case {
    Fields fields;
    std::string_view expected;
    std::string_view method = "GET";
  };
  const std::string same(same_date);
  const std::string old(before);
  const std::string newer(after);
  const Fields range{{"range", "bytes=1-2"}};
  const std::vector<Case> cases{
      {{}, "whole"},
      // If-Match: strong comparison.
      {{{"if-match", "\"abc\""}}, "whole"},
      {{{"if-match", "*"}}, "whole"},
      {{{"if-match", "\"x\", \"abc\""}}, "whole"},
      {{{"if-match", "\"x\",,\t\"abc\" ,"}}, "whole"},
      {{{"if-match", "\"x\""}, {"if-match", "\"abc\""}}, "whole"},
      {{{"if-match", "\"x,\\\"}, \"abc\""}}, "412"},
      {{{"if-match", "\"x\""}}, "412"},
      {{{"if-match", "W/\"abc\""}}, "412"},
      {{{"if-match", "abc"}}, "412"},
      {{{"if-match", "\"abc"}}, "412"},
      {{{"if-match", "\"ABC\""}}, "412"},
      {{{"if-match", ""}}, "412"},
      {{{"if-match", "\"x\""}}, "412", "HEAD"},
      {{{"if-match", "\"x\""}}, "412", "POST"},
      // If-Unmodified-Since, only without If-Match.
      {{{"if-unmodified-since", same}}, "whole"},
      {{{"if-unmodified-since", newer}}, "whole"},
      {{{"if-unmodified-since", old}}, "412"},
      {{{"if-unmodified-since", "yesterday"}}, "whole"},
      {{{"if-match", "\"abc\""}, {"if-unmodified-since", old}}, "whole"},
      {{{"if-match", "\"x\""}, {"if-unmodified-since", newer}}, "412"},
      // If-None-Match: weak comparison.
      {{{"if-none-match", "\"abc\""}}, "304"},
      {{{"if-none-match", "W/\"abc\""}}, "304"},
      {{{"if-none-match", "*"}}, "304"},
      {{{"if-none-match", "\"x\", W/\"y\", \"abc\""}}, "304"},
      {{{"if-none-match", "\"abc\""}}, "304", "HEAD"},
      {{{"if-none-match", "\"abc\""}}, "412", "PUT"},
      {{{"if-none-match", "\"x\""}}, "whole"},
      {{{"if-none-match", "w/\"abc\""}}, "whole"},
      {{{"if-none-match", "nonsense"}}, "whole"},
      // If-Modified-Since, only without If-None-Match and for reading.
      {{{"if-modified-since", same}}, "304"},
      {{{"if-modified-since", newer}}, "304"},
      {{{"if-modified-since", newer}}, "304", "HEAD"},
      {{{"if-modified-since", old}}, "whole"},
      {{{"if-modified-since", newer}}, "whole", "POST"},
      {{{"if-modified-since", "0"}}, "whole"},
      {{{"if-none-match", "\"x\""}, {"if-modified-since", newer}}, "whole"},
      {{{"if-none-match", "\"abc\""}, {"if-modified-since", old}}, "304"},
      // What failed first counts.
      {{{"if-match", "\"x\""}, {"if-none-match", "\"abc\""}}, "412"},
      {{{"if-match", "\"abc\""}, {"if-none-match", "\"abc\""}}, "304"},
      {{{"if-unmodified-since", newer}, {"if-modified-since", newer}}, "304"},
      // If-Range: the part only while it is the same; strong comparison, the very date.
      {{{"range", "bytes=1-2"}, {"if-range", "\"abc\""}}, "1+2"},
      {{{"range", "bytes=1-2"}, {"if-range", "\"x\""}}, "whole"},
      {{{"range", "bytes=1-2"}, {"if-range", "W/\"abc\""}}, "whole"},
      {{{"range", "bytes=1-2"}, {"if-range", same}}, "1+2"},
      {{{"range", "bytes=1-2"}, {"if-range", newer}}, "whole"},
      {{{"range", "bytes=1-2"}, {"if-range", old}}, "whole"},
      {{{"range", "bytes=1-2"}, {"if-range", ""}}, "whole"},
      {{{"range", "bytes=500-"}, {"if-range", "\"x\""}}, "whole"},
      {{{"range", "bytes=500-"}, {"if-range", "\"abc\""}}, "416"},
      {{{"if-range", "\"x\""}}, "whole"},
      // Conditions come before ranges.
      {{{"range", "bytes=500-"}, {"if-match", "\"x\""}}, "412"},
      {{{"range", "bytes=500-"}, {"if-none-match", "\"abc\""}}, "304"},
      {{{"range", "bytes=1-2"}, {"if-match", "\"abc\""}}, "1+2"},
  };
  for (const Case& test : cases) {
    std::string shown(test.method);
    for (const auto& [name, value] : test.fields)
      shown += " [" + name + ": " + value + "]";
    EXPECT_EQ(describe(select(test.fields, test.method)), test.expected) << shown;
  }
}

TEST(Conditions, WithoutValidators) {
  const Validators none;
  const auto judged = [&](const Fields& fields) { return describe(select(fields, "GET", 100, none)); };
  EXPECT_EQ(judged({{"if-match", "*"}}), "whole");
  EXPECT_EQ(judged({{"if-match", "\"abc\""}}), "412");
  EXPECT_EQ(judged({{"if-match", "\"\""}}), "412");
  EXPECT_EQ(judged({{"if-none-match", "*"}}), "304");
  EXPECT_EQ(judged({{"if-none-match", "\"\""}}), "whole");
  EXPECT_EQ(judged({{"if-modified-since", std::string(after)}}), "whole");
  EXPECT_EQ(judged({{"if-unmodified-since", std::string(before)}}), "whole");
  EXPECT_EQ(judged({{"range", "bytes=1-2"}, {"if-range", "\"\""}}), "whole");
  EXPECT_EQ(judged({{"range", "bytes=1-2"}}), "1+2");
}

TEST(HttpDate, IsReadInAllThreeForms) {
  EXPECT_EQ(parse_http_date("Tue, 29 Apr 2025 08:00:00 GMT"), modified);
  EXPECT_EQ(parse_http_date("Tuesday, 29-Apr-25 08:00:00 GMT"), modified);
  EXPECT_EQ(parse_http_date("Tue Apr 29 08:00:00 2025"), modified);
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
  for (const std::string_view text :
       {"", "now", "1745913600", "2025-04-29T08:00:00Z", "Tue", "Tue, 29 Apr", "29 Apr 2025 08:00:00 GMT",
        "Tue, 32 Apr 2025 08:00:00 GMT", "Tue, 29 Apr 2025 25:00:00 GMT"}) {
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
  }
}

TEST(HttpDate, IsWrittenInTheFirst) {
  EXPECT_EQ(render_http_date(modified), same_date);
  EXPECT_EQ(render_http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST(Attachment, NamesAreSafe) {
  EXPECT_EQ(render_attachment("notes.txt"), "attachment; filename=\"notes.txt\"");
  EXPECT_EQ(render_attachment("my notes.txt"), "attachment; filename=\"my notes.txt\"");
  EXPECT_EQ(render_attachment("/etc/passwd"), "attachment; filename=\"passwd\"");
  EXPECT_EQ(render_attachment("..\\..\\boot.ini"), "attachment; filename=\"boot.ini\"");
  EXPECT_EQ(render_attachment("a\r\nset-cookie: b"), "attachment; filename=\"aset-cookie: b\"");
  EXPECT_EQ(render_attachment("a\"; filename=\"evil.exe"),
            "attachment; filename=\"a__ filename=_evil.exe\"; "
            "filename*=UTF-8''a%22%3B%20filename%3D%22evil.exe");
  EXPECT_EQ(render_attachment("\xc3\xa9t\xc3\xa9 1.csv"),
            "attachment; filename=\"_t_ 1.csv\"; filename*=UTF-8''%C3%A9t%C3%A9%201.csv");
  EXPECT_EQ(render_attachment("100%.txt"), "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt");
  for (const std::string_view nothing : {"", "/", "a/", ".", "..", "\x01\x02", "\xff\xfe"})
    EXPECT_EQ(render_attachment(nothing), "attachment") << nothing;
  const std::string longest = render_attachment(std::string(5000, 'x'));
  EXPECT_LT(longest.size(), 300u);
}

}  // namespace
}  // namespace hearth::net
