#include "engine/llama/schema.hpp"

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "engine/llama/pattern.hpp"
#include "engine/llama/samples.hpp"

namespace hearth::engine::llama {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A strict schema whose only property is `schema`.
std::string with_property(std::string_view schema, std::string_view more = "") {
  return R"({"type":"object","properties":{"a":)" + std::string(schema) +
         R"(},"required":["a"],"additionalProperties":false)" + std::string(more) + "}";
}

// What is said about a strict schema; empty when it is taken.
std::string said_of(std::string_view schema) {
  try {
    check_strict_schema(object(schema), "p");
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    EXPECT_EQ(error.code(), "invalid_json_schema");
    EXPECT_EQ(error.param(), "p");
    return error.message();
  }
  return "";
}
std::string said_of_property(std::string_view schema, std::string_view more = "") {
  return said_of(with_property(schema, more));
}

TEST(LlamaSchema, TakesWhatIsEnforced) {
  for (const std::string_view schema : {
           R"({"type":"string","minLength":1,"maxLength":9})",
           R"({"type":["string","null"],"description":"d","title":"t"})",
           R"({"type":"string","pattern":"^[A-Z]{2}-[0-9]+$"})",
           R"({"type":"string","format":"date-time"})",
           R"({"type":"string","enum":["x","y"]})",
           R"({"const":3})",
           R"({"type":"integer","minimum":1})",
           R"({"type":"integer","minimum":100,"maximum":2000})",
           R"({"type":"integer","exclusiveMaximum":10})",
           R"({"type":"number"})",
           R"({"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":3})",
           R"({"anyOf":[{"type":"null"},{"type":"object","properties":{},"additionalProperties":false}]})",
       }) {
    EXPECT_EQ(said_of_property(schema), "") << schema;
  }
  EXPECT_EQ(said_of_property(R"({"$ref":"#/$defs/A"})",
                             R"(,"$defs":{"A":{"type":"array","items":{"$ref":"#/$defs/A"}}})"),
            "")
      << "a schema may hold itself";
}

TEST(LlamaSchema, RefusesWhatIsNotEnforcedAndNamesThePlace) {
  for (const std::string_view schema : {
           R"({"type":"string","pattern":"[0-9]"})",
           R"({"type":"string","pattern":"^(?=a)b$"})",
           R"({"type":"string","pattern":"^a$","maxLength":1})",
           R"({"type":"string","format":"email"})",
           R"({"type":"string","format":"date","minLength":1})",
           R"({"type":"string","minimum":1})",
           R"({"type":"string","minLength":3,"maxLength":2})",
           R"({"type":"string","enum":["x"],"minLength":1})",
           R"({"type":"string","enum":["x",1]})",
           R"({"allOf":[{"type":"string"},{"minLength":1}]})",
           R"({"oneOf":[{"type":"string"}]})",
           R"({"anyOf":[{"type":"string"}],"type":"string"})",
           R"({"anyOf":[{"type":"string","format":"ipv4"}]})",
           R"({"type":"number","minimum":1})",
           R"({"type":["integer","number"],"maximum":1})",
           R"({"type":"integer","multipleOf":2})",
           R"({"type":"integer","minimum":1,"exclusiveMinimum":3})",
           R"({"type":"integer","minimum":105})",
           R"({"type":"integer","maximum":-5})",
           R"({"type":"integer","minimum":3,"maximum":2})",
           R"({"type":"array","items":{"type":"integer"},"uniqueItems":true})",
           R"({"type":"array","items":[{"type":"integer"}]})",
           R"({"type":"array","prefixItems":[{"type":"integer"}]})",
           R"({"type":"array"})",
           R"({"type":"object","properties":{"b":{"type":"null"}},"required":["b"]})",
           R"({"type":"object","properties":{"b":{"type":"null"}},"additionalProperties":false})",
           R"({"type":"object","properties":{},"required":["b"],"additionalProperties":false})",
           R"({"type":"object","properties":{},"additionalProperties":false,"minProperties":1})",
           R"({"type":"text"})",
           R"({"not":{}})",
           R"({"madeUp":1})",
           R"({})",
           R"({"$ref":"#/$defs/A","minLength":1})",
           R"({"$ref":"#/$defs/missing"})",
           R"({"$ref":"https://example.com/schema"})",
           R"({"$ref":"#"})",
       }) {
    EXPECT_THAT(said_of_property(schema, R"(,"$defs":{"A":{"type":"string"}})"), HasSubstr("$.properties.a"))
        << schema;
  }
  EXPECT_THAT(said_of(R"({"type":"array","items":{"type":"integer"}})"), HasSubstr("root"));
  EXPECT_THAT(said_of_property(R"({"$ref":"#/$defs/A"})", R"(,"$defs":{"A":{"not":{}}})"),
              HasSubstr("$.$defs.A"));
  // Both would become the rule "ref-defs-A-b".
  EXPECT_THAT(said_of_property(R"({"anyOf":[{"$ref":"#/$defs/A_b"},{"$ref":"#/$defs/A.b"}]})",
                               R"(,"$defs":{"A_b":{"type":"string"},"A.b":{"type":"integer"}})"),
              HasSubstr("too much like"));
}

TEST(LlamaSchema, ReportsWhatALooseSchemaLoses) {
  const auto lost = [](std::string_view schema) { return check_loose_schema(object(schema), "p"); };
  EXPECT_THAT(lost(R"({"type":"object","properties":{"a":{"type":"string"},"b":{}}})"), IsEmpty())
      << "open, but nothing is lost";
  EXPECT_THAT(lost(R"({"type":"object","properties":{"a":{"type":"string","format":"email"}}})"),
              ElementsAre("p.properties.a.format"));
  EXPECT_THAT(lost(R"({"properties":{"a\r\nb":{"not":{}}}})"), ElementsAre("p")) << "not fit for a header";
}

TEST(LlamaSchema, ManyReferencesAreRefused) {
  std::string definitions;
  for (int i = 0; i < 20'000; ++i)
    definitions +=
        (i ? ",\"d" : "\"d") + std::to_string(i) + R"(":{"$ref":"#/$defs/d)" + std::to_string(i + 1) + "\"}";
  const std::string schema = R"({"type":"object","$defs":{)" + definitions + "}}";
  EXPECT_EQ(refusal([&] { check_loose_schema(object(schema), "p"); }), Refusal("invalid_json_schema", "p"));
}

TEST(LlamaPattern, KnowsWhatTheGrammarKeeps) {
  for (const std::string_view pattern :
       {"^$", "^abc$", "^a|b$", "^(?:ab)+c?$", "^[a-z0-9_-]{1,64}$", "^[0-9]{3,}$", "^\\+[0-9]+$", "^[.]+x$",
        "^[а-я]+$", "^ä-b/c$", "^(a|(b|c)*)[\\]\\[]$"}) {
    EXPECT_EQ(why_not_enforced(pattern), std::nullopt) << pattern;
  }
  for (const std::string_view pattern :
       {"",         "^",       "a",          "^a",        "a$",    "^a\\$",   "^a^b$",
        "^a$b$",    "^.$",     "^.*$",       "^[^a]$",    "^\\d$", "^[\\d]$", "^\\w+$",
        "^(?=a)$",  "^(?!a)$", "^(?<n>a)$",  "^(a)\\1$",  "^(a$",  "^a)$",    "^[a$",
        "^[]$",     "^[z-a]$", "^[ -~]$",    "^[A-z]$",   "^\"$",  "^[\"]$",  "^\\\\$",
        "^\\n$",    "^a+?$",   "^a**$",      "^a{2}{3}$", "^*$",   "^a{$",    "^a{,3}$",
        "^a{3,1}$", "^a{0}$",  "^a{99999}$", "^a\\.*$",   "^ä+$",  "^a]$"}) {
    EXPECT_NE(why_not_enforced(pattern), std::nullopt) << pattern;
  }
  EXPECT_NE(why_not_enforced("^" + std::string(100'000, '(') + "$"), std::nullopt);
}

}  // namespace
}  // namespace hearth::engine::llama
