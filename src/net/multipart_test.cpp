#include "net/multipart.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace hearth::net {
namespace {

using Event = MultipartParser::Event;

struct Part {
  PartHead head;
  std::string data;
  bool ended = false;
};
struct Form {
  std::vector<Part> parts;
  Event last = Event::need_more;
  std::string failure;
};

Form parse(std::string_view body, std::size_t piece, MultipartLimits limits = {}) {
  MultipartParser parser("XyZ", limits);
  Form form;
  const auto take = [&] {
    for (;;) {
      form.last = parser.next();
      switch (form.last) {
        case Event::part_begin:
          form.parts.push_back({parser.part(), "", false});
          break;
        case Event::part_data:
          EXPECT_FALSE(parser.data().empty());
          form.parts.back().data += parser.data();
          break;
        case Event::part_end:
          form.parts.back().ended = true;
          break;
        default:
          return;
      }
    }
  };
  for (std::size_t at = 0; at < body.size(); at += piece) {
    parser.feed(body.substr(at, piece));
    take();
  }
  parser.finish();
  take();
  form.failure = parser.failure();
  return form;
}

constexpr std::string_view part_header = "Content-Disposition: form-data; name=\"a\"\r\n";

TEST(Multipart, ParsesPiecesOfAnySize) {
  constexpr char raw[] = "\r\n--Xy\r\n\0-\r\n\r\n--\r\n--XyY\r";
  const std::string binary(raw, sizeof raw - 1);
  const std::string body =
      "preamble\r\n--XyZ \t\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n--XyZ\r\n"
      "content-type: application/json\r\nCONTENT-DISPOSITION: Form-Data; filename=\"C:\\a\\\"b.js;on\"; "
      "name=file\r\n"
      "X-Other: 1\r\n\r\n" +
      binary +
      "\r\n--XyZ\r\nContent-Disposition: form-data; name=\"\"\r\n\r\n\r\n--XyZ\r\n"
      "Content-Disposition: form-data; name=\"bodyless\"\r\n\r\n--XyZ--\r\nepilogue";
  for (std::size_t piece = 1; piece <= body.size(); ++piece) {
    const auto form = parse(body, piece);
    ASSERT_EQ(form.last, Event::done) << piece << " " << form.failure;
    ASSERT_EQ(form.parts.size(), 4u);
    for (const auto& part : form.parts)
      EXPECT_TRUE(part.ended);
    EXPECT_EQ(form.parts[0].head.name, "purpose");
    EXPECT_FALSE(form.parts[0].head.filename);
    EXPECT_EQ(form.parts[0].data, "fine-tune");
    EXPECT_EQ(form.parts[1].head.name, "file");
    EXPECT_EQ(form.parts[1].head.filename, "C:\\a\"b.js;on");
    EXPECT_EQ(form.parts[1].head.content_type, "application/json");
    EXPECT_EQ(form.parts[1].data, binary);
    EXPECT_EQ(form.parts[2].head.name, "");
    EXPECT_EQ(form.parts[2].data, "");
    EXPECT_EQ(form.parts[3].head.name, "bodyless");
    EXPECT_EQ(form.parts[3].data, "");
  }
}

TEST(Multipart, RefusesWhatIsBroken) {
  const std::string start = "--XyZ\r\n" + std::string(part_header) + "\r\ndata";
  const std::vector<std::string> bodies = {
      "",
      "no boundary at all",
      start,
      start + "\r\n--XyZ",
      start + "\r\n--XyZ-",
      start + "\r\n--XyZoo\r\n",
      start + "\n--XyZ--",
      "--XyZ\n" + std::string(part_header) + "\r\ndata\r\n--XyZ--",
      "--XyZ\r\n\r\ndata\r\n--XyZ--",
      "--XyZ\r\nContent-Type: text/plain\r\n\r\ndata\r\n--XyZ--",
      "--XyZ\r\nContent-Disposition: form-data\r\n\r\ndata\r\n--XyZ--",
      "--XyZ\r\nContent-Disposition: attachment; name=a\r\n\r\ndata\r\n--XyZ--",
      "--XyZ\r\nContent-Disposition: form-data; name=\"a\r\n\r\ndata\r\n--XyZ--",
      "--XyZ\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\ndata\r\n--XyZ--",
      "--XyZ\r\n" + std::string(part_header) + std::string(part_header) + "\r\ndata\r\n--XyZ--",
      "--XyZ\r\n" + std::string(part_header) + "no colon\r\n\r\ndata\r\n--XyZ--",
      "--XyZ\r\n" + std::string(part_header) + "Content-Transfer-Encoding: base64\r\n\r\nZGF0YQ==\r\n--XyZ--",
  };
  for (const auto& body : bodies) {
    for (const std::size_t piece : {1, 7, 1000}) {
      const auto form = parse(body, piece);
      EXPECT_EQ(form.last, Event::failed) << body;
      EXPECT_FALSE(form.failure.empty());
    }
  }
}

TEST(Multipart, ReadsFileNamesInBothForms) {
  const auto name_of = [](std::string parameters) {
    const auto form =
        parse("--XyZ\r\nContent-Transfer-Encoding: Binary\r\nContent-Disposition: form-data; name=a; " +
                  parameters + "\r\n\r\n\r\n--XyZ--",
              1);
    EXPECT_EQ(form.last, Event::done) << form.failure;
    return form.parts.empty() ? "no part" : form.parts[0].head.filename.value_or("none");
  };
  EXPECT_EQ(name_of("x=y"), "none");
  EXPECT_EQ(name_of("filename=a.txt"), "a.txt");
  EXPECT_EQ(name_of("filename*=UTF-8''na%C3%AFve%20plan.txt"), "na\xc3\xafve plan.txt");
  EXPECT_EQ(name_of("filename*=utf-8'en'b.txt; filename=\"=?utf-8?B?Yi50eHQ=?=\""), "b.txt");
  EXPECT_EQ(name_of("filename=a.txt; filename*=iso-8859-1''%E9.txt"), "a.txt");
  EXPECT_EQ(name_of("filename=a.txt; filename*=UTF-8''%FF"), "a.txt");
  EXPECT_EQ(name_of("filename=a.txt; filename*=UTF-8''%00"), "a.txt");
  EXPECT_EQ(name_of("filename=a.txt; filename*=UTF-8'"), "a.txt");
}

TEST(Multipart, KeepsItsLimits) {
  const std::string part = "\r\n--XyZ\r\n" + std::string(part_header) + "\r\n1";
  EXPECT_EQ(parse(part + part + "\r\n--XyZ--", 5, {.parts = 2}).last, Event::done);
  EXPECT_EQ(parse(part + part + part + "\r\n--XyZ--", 5, {.parts = 2}).last, Event::failed);
  EXPECT_EQ(parse(part + "\r\n--XyZ--", 5, {.header_bytes = 20}).last, Event::failed);
  EXPECT_EQ(parse("--XyZ\r\n" + std::string(10'000, 'x'), 100).last, Event::failed);
  EXPECT_EQ(parse("--XyZ" + std::string(10'000, ' '), 100).last, Event::failed);
}

TEST(Multipart, FindsTheBoundary) {
  EXPECT_EQ(MultipartParser::boundary_of("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(MultipartParser::boundary_of("Multipart/Form-Data;charset=utf-8; Boundary=\"a b:c\""), "a b:c");
  for (const auto* bad : {"", "multipart/form-data", "multipart/mixed; boundary=a",
                          "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a",
                          "multipart/form-data; boundary=\"a \"", "multipart/form-data; boundary=a\x01",
                          "multipart/form-data; boundary=a; boundary=b",
                          "multipart/form-data; "
                          "boundary=01234567890123456789012345678901234567890123456789012345678901234567890"})
    EXPECT_FALSE(MultipartParser::boundary_of(bad)) << bad;
}

}  // namespace
}  // namespace hearth::net
