#include "contract/form.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "contract/fixture.hpp"

namespace hearth::contract {
namespace {

const Validator& subject() {
  static const Validator validator(fixture::tables.schemas);
  return validator;
}

// With a file limit of ten bytes.
const Operation& upload() {
  static const Operation operation = [] {
    Operation own =
        *std::ranges::find(fixture::tables.operations.operations, "upload_thing", &Operation::name);
    own.file_limit = 10;
    return own;
  }();
  return operation;
}

struct Sent {
  std::string_view name;
  std::string_view bytes;
  std::optional<std::string_view> filename = std::nullopt;
  std::string_view content_type{};
};

// "field filename type bytes;" for each file, and the object as JSON; or "status param code".
std::string read(const std::vector<Sent>& parts) {
  try {
    FormReader form(subject(), upload());
    for (const Sent& part : parts) {
      form.begin_part(part.name, part.filename, part.content_type);
      for (char byte : part.bytes)
        form.take(std::string_view(&byte, 1));
      form.end_part();
    }
    const json::object fields = form.finish();
    std::string shown;
    for (const FormFile& file : form.files())
      shown += fmt::format("{} {} {} {};", file.field, file.filename, file.content_type, file.bytes);
    return shown + json::write(json::value(fields));
  } catch (const ApiError& error) {
    return fmt::format("{} {} {}", error.status(), error.param().value_or(""), error.code().value_or(""));
  }
}

const Sent file{"file", "12345", "a.txt", "text/plain"};
const Sent purpose{"purpose", "one"};

TEST(Form, ReadsTypedTextsAndFiles) {
  EXPECT_EQ(
      read({file, purpose, {"include[]", "x"}, {"strategy", R"({"type":"t","size":3})"}}),
      "file a.txt text/plain 5;"
      R"({"file":"a.txt","purpose":"one","include":["x"],"strategy":{"type":"t","size":3},"temperature":5E-1})");
  EXPECT_EQ(
      read({{"stream", "true"},
            {"strategy[type]", "t"},
            {"strategy[size]", "3"},
            {"temperature", "0.25"},
            purpose,
            file}),
      "file a.txt text/plain 5;"
      R"({"stream":true,"strategy":{"type":"t","size":3},"temperature":2.5E-1,"purpose":"one","file":"a.txt"})");
}

TEST(Form, TheFieldDecidesWhatIsAFile) {
  EXPECT_EQ(read({{"file", "1"}, {"purpose", "one", "blob", "text/plain"}}),
            R"(file   1;{"file":"","purpose":"one","temperature":5E-1})");
  EXPECT_EQ(read({{"file", "", "a\xFF"}, purpose}),
            R"(file   0;{"file":"","purpose":"one","temperature":5E-1})");
  EXPECT_EQ(
      read({file, purpose, {"mask", "1", "m"}}),
      R"(file a.txt text/plain 5;mask m  1;{"file":"a.txt","purpose":"one","mask":"m","temperature":5E-1})");
}

TEST(Form, AFieldMayHoldOneFileOrMany) {
  const std::string rest = R"(,"temperature":5E-1})";
  const std::string start = R"({"file":"a.txt","purpose":"one","image":)";
  const std::string first = "file a.txt text/plain 5;";
  const Sent one{"image", "1", "1"};
  const Sent two{"image", "2", "2"};
  EXPECT_EQ(read({file, purpose, one}), first + "image 1  1;" + start + R"("1")" + rest);
  EXPECT_EQ(read({file, purpose, one, two}),
            first + "image 1  1;image 2  1;" + start + R"(["1","2"])" + rest);
  EXPECT_EQ(read({file, purpose, {"image[]", "1", "1"}, {"image[]", "2", "2"}}),
            first + "image 1  1;image 2  1;" + start + R"(["1","2"])" + rest);
  EXPECT_EQ(read({file, purpose, one, two, one}), "400 image array_above_max_length");
  EXPECT_EQ(read({file, purpose, {"image[0]", "1", "1"}}), first + "image 1  1;" + start + R"(["1"])" + rest);
}

TEST(Form, NamesTheFaultByItsField) {
  EXPECT_EQ(read({purpose}), "400 file missing_required_parameter");
  EXPECT_EQ(read({file}), "400 purpose missing_required_parameter");
  EXPECT_EQ(read({file, purpose, purpose}), "400 purpose invalid_value");
  EXPECT_EQ(read({file, {"purpose", "three"}}), "400 purpose invalid_value");
  EXPECT_EQ(read({file, purpose, {"temperature", "hot"}}), "400 temperature invalid_type");
  EXPECT_EQ(read({file, purpose, {"strategy", "{\"type\":"}}), "400 strategy invalid_type");
  EXPECT_EQ(read({file, purpose, {"strategy[size]", "3"}}), "400 strategy.type missing_required_parameter");
  EXPECT_EQ(read({file, {"purpose", "on\xFF"}}), "400 purpose invalid_value");
  EXPECT_EQ(read({{"na\xFFme", ""}}), "400  invalid_value");
  EXPECT_EQ(read({{"file[x]", "", "a"}, purpose}), "400 file invalid_type");
}

// The verdict on the head of a part, before its bytes.
std::string begin(std::vector<Sent> parts) {
  FormReader form(subject(), upload());
  const Sent last = parts.back();
  parts.pop_back();
  for (const Sent& part : parts) {
    form.begin_part(part.name, part.filename, part.content_type);
    form.end_part();
  }
  try {
    return form.begin_part(last.name, last.filename, last.content_type) == FormReader::Part::file ? "file"
                                                                                                  : "text";
  } catch (const ApiError& error) {
    return fmt::format("{} {}", error.param().value_or(""), error.code().value_or(""));
  }
}

TEST(Form, SaysWhatAPartIsBeforeItsBytes) {
  EXPECT_EQ(begin({file}), "file");
  EXPECT_EQ(begin({{"image[]", "", "a"}}), "file");
  EXPECT_EQ(begin({{"strategy[type]", ""}}), "text");
  EXPECT_EQ(begin({{"stream", ""}}), "text");
  EXPECT_EQ(begin({{"files", ""}}), "files unknown_parameter");
  EXPECT_EQ(begin({{"strategy[kind]", ""}}), "strategy.kind unknown_parameter");
  EXPECT_EQ(begin({file, file}), "file invalid_value");
}

TEST(Form, HasBounds) {
  EXPECT_EQ(read({{"file", "1234567890", "a"}, purpose}).substr(0, 12), "file a  10;{");
  EXPECT_EQ(read({{"file", "12345678901", "a"}, purpose}), "413 file request_too_large");
  const std::string half(FormReader::most_text / 2 + 1, 'x');
  EXPECT_EQ(read({{"strategy[type]", half}, {"include[]", half}}), "400 include[] string_above_max_length");
  EXPECT_EQ(read(std::vector<Sent>(FormReader::most_parts + 1, Sent{"include[]", "x"})),
            "400  invalid_value");
}

}  // namespace
}  // namespace hearth::contract
