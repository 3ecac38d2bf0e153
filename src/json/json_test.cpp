#include "json/json.hpp"

#include <gtest/gtest.h>

namespace hearth::json {
namespace {

TEST(Json, ParsesWholeDocumentsOnly) {
  EXPECT_TRUE(Document::parse(R"({"a":[1,2.5,"x",null,true]})").has_value());
  EXPECT_TRUE(Document::parse("12").has_value());
  EXPECT_TRUE(Document::parse(" {} ").has_value());
  for (std::string_view bad : {"", "{", "{}x", "{\"a\":}", "[1,]", "nul", "\"\xff\"", "{'a':1}", "1 2"}) {
    EXPECT_FALSE(Document::parse(bad).has_value()) << bad;
  }
}

TEST(Json, RefusesDeepNesting) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse(nested(max_depth)).has_value());
  const auto failure = parse(nested(max_depth + 1));
  ASSERT_FALSE(failure.has_value());
  EXPECT_NE(failure.error().message.find("nested"), std::string::npos);
}

TEST(Json, DocumentsMove) {
  auto document = Document::parse(R"({"text":"a string that is longer than any small buffer"})");
  ASSERT_TRUE(document.has_value());
  Document moved = std::move(*document);
  EXPECT_EQ(find_string(moved.root().get_object(), "text"), "a string that is longer than any small buffer");
}

TEST(Json, ReadsByType) {
  const value root =
      *parse(R"({"i":3,"w":3.0,"f":3.5,"big":18446744073709551615,"s":"x","b":true,"n":null})");
  const object& o = root.get_object();
  EXPECT_EQ(find_integer(o, "i"), 3);
  EXPECT_EQ(find_integer(o, "w"), 3);
  EXPECT_EQ(find_integer(o, "f"), std::nullopt);
  EXPECT_EQ(find_integer(o, "big"), std::nullopt);
  EXPECT_EQ(find_number(o, "f"), 3.5);
  EXPECT_EQ(find_string(o, "i"), std::nullopt);
  EXPECT_EQ(find_bool(o, "b"), true);
  EXPECT_TRUE(is_absent_or_null(o, "n"));
  EXPECT_TRUE(is_absent_or_null(o, "none"));
}

TEST(Json, WholeNumbersFitOrAreNone) {
  EXPECT_EQ(as_integer(value(std::uint32_t{7})), 7) << "made here as an unsigned number";
  EXPECT_EQ(as_integer(value(~std::uint64_t{0})), std::nullopt);
}

TEST(Json, WritesWhatItRead) {
  const std::string text = R"({"a":[1,2.5E0,"x\n",null,true]})";
  EXPECT_EQ(write(*parse(text)), text);
}

}  // namespace
}  // namespace hearth::json
