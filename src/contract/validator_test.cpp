#include "contract/validator.hpp"

#include <gtest/gtest.h>

#include "contract/fixture.hpp"

namespace hearth::contract {
namespace {

const Validator& subject() {
  static const Validator validator(fixture::tables.schemas);
  return validator;
}

json::value parsed(std::string_view text) {
  return boost::json::parse(text);
}

// "param code", or "fits".
std::string verdict(SchemaId schema, std::string_view text, Strictness strictness = Strictness::request) {
  const auto violation = subject().validate(schema, parsed(text), strictness);
  return violation ? violation->param + " " + std::string(violation->code) : "fits";
}

std::string everything(std::string_view members) {
  return verdict(fixture::everything, std::string(R"({"name":"n",)") + std::string(members) + "}");
}

std::string message(SchemaId schema, std::string_view text) {
  const auto violation = subject().validate(schema, parsed(text), Strictness::request);
  return violation ? violation->message : "fits";
}

TEST(Validator, AcceptsTheLeastAndTheMost) {
  EXPECT_EQ(verdict(fixture::everything, R"({"name":"n"})"), "fits");
  EXPECT_EQ(everything(R"("id":"x","note":"abc","whole":10,"decimal":-1.5,"any_whole":-5,"flag":false,
    "accepted":true,"color":3,"size":2,"voice":"zzz","slug":"ab-1","link":"data:x","data":"YQ==",
    "tags":{"k":"v"},"items":[1,2,3],"pairs":["a","b"],"free":{"a":[1]},"whatever":[null],"old_hint":"x",
    "child":{"name":"x"},"partner":"p","stamped":1,"nothing":null)"),
            "fits");
}

TEST(Validator, NamesWhatIsMissingUnknownOrOfTheWrongType) {
  EXPECT_EQ(verdict(fixture::everything, "{}"), "name missing_required_parameter");
  EXPECT_EQ(everything(R"("nam":1)"), "nam unknown_parameter");
  EXPECT_EQ(message(fixture::everything, R"({"name":"n","nots":1})"),
            "There is no parameter 'nots'. Did you mean 'note'?");
  EXPECT_EQ(everything(R"("flag":1)"), "flag invalid_type");
  EXPECT_EQ(everything(R"("nothing":1)"), "nothing invalid_type");
  EXPECT_EQ(everything(R"("free":[])"), "free invalid_type");
  EXPECT_EQ(everything(R"("id":null)"), "id invalid_type");
  EXPECT_EQ(everything(R"("child":{"name":5})"), "child.name invalid_type");
  EXPECT_EQ(verdict(fixture::everything, "[]"), " invalid_type");
  EXPECT_EQ(message(fixture::everything, R"({"name":"n","whole":"5"})"),
            "'whole' has the wrong type: expected an integer, got a string.");
}

TEST(Validator, WantsExactlyOneOfSomeMembers) {
  const auto source = [](std::string_view text) { return verdict(fixture::source, text); };
  EXPECT_EQ(source(R"({"url":"a"})"), "fits");
  EXPECT_EQ(source(R"({"note":"n","file":"a"})"), "fits");
  EXPECT_EQ(source(R"({"url":"a","file":null})"), "fits");
  EXPECT_EQ(source("{}"), "url missing_required_parameter");
  EXPECT_EQ(source(R"({"file":null,"note":"n"})"), "url missing_required_parameter");
  EXPECT_EQ(source(R"({"text":"a","url":"a"})"), "text mutually_exclusive_parameters");
  EXPECT_EQ(source(R"({"text":"a","file":"b"})"), "text mutually_exclusive_parameters");
  EXPECT_EQ(verdict(fixture::named_source, R"({"name":"n"})"), "url missing_required_parameter");
  EXPECT_EQ(everything(R"("source":{"file":"a","url":"a"})"), "source.file mutually_exclusive_parameters");
  EXPECT_EQ(message(fixture::source, R"({"file":"a","url":"a"})"),
            "Only one of these parameters may be given: 'url', 'file', 'text'.");
  EXPECT_EQ(message(fixture::source, "{}"), "One of these parameters is required: 'url', 'file', 'text'.");
}

TEST(Validator, KnowsListsAndDeletions) {
  EXPECT_EQ(verdict(fixture::thing_list,
                    R"({"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false})"),
            "fits");
  EXPECT_EQ(verdict(fixture::thing_list,
                    R"({"object":"list","data":[{}],"first_id":"a","last_id":"b","has_more":true})"),
            "data[0].name missing_required_parameter");
  EXPECT_EQ(verdict(fixture::thing_list, R"({"object":"list","data":[],"has_more":false})"),
            "first_id missing_required_parameter");
  EXPECT_EQ(verdict(fixture::thing_deleted, R"({"object":"thing.deleted","id":"a","deleted":true})"), "fits");
  EXPECT_EQ(verdict(fixture::thing_deleted, R"({"object":"thing","id":"a","deleted":true})"),
            "object invalid_value");
}

TEST(Validator, HoldsNumbersToTheirBounds) {
  EXPECT_EQ(everything(R"("whole":-1)"), "whole integer_below_min_value");
  EXPECT_EQ(everything(R"("whole":11)"), "whole integer_above_max_value");
  EXPECT_EQ(everything(R"("whole":1.0)"), "fits");
  EXPECT_EQ(everything(R"("whole":1.5)"), "whole invalid_type");
  EXPECT_EQ(everything(R"("decimal":-1.51)"), "decimal decimal_below_min_value");
  EXPECT_EQ(everything(R"("decimal":2)"), "decimal decimal_above_max_value");
  EXPECT_EQ(everything(R"("decimal":1)"), "fits");
  EXPECT_EQ(everything(R"("any_whole":9223372036854775807)"), "fits");
  EXPECT_EQ(everything(R"("any_whole":9223372036854775808)"), "any_whole integer_above_max_value");
  EXPECT_EQ(everything(R"("any_whole":-1e30)"), "any_whole integer_below_min_value");
  json::value infinite = parsed(R"({"name":"n"})");
  infinite.get_object()["decimal"] = std::numeric_limits<double>::infinity();
  EXPECT_EQ(subject().validate(fixture::everything, infinite, Strictness::request)->code, code::value);
}

TEST(Validator, CountsTextInCodePoints) {
  EXPECT_EQ(verdict(fixture::everything, R"({"name":""})"), "name string_below_min_length");
  EXPECT_EQ(verdict(fixture::everything, R"({"name":"äöüß"})"), "fits");
  EXPECT_EQ(verdict(fixture::everything, R"({"name":"abcde"})"), "name string_above_max_length");
  EXPECT_EQ(everything(R"("note":"abcd")"), "note string_above_max_length");
}

TEST(Validator, KnowsPatternsAndFormats) {
  EXPECT_EQ(everything(R"("slug":"abcde-1")"), "slug invalid_value");
  EXPECT_EQ(everything(R"("slug":"ab-")"), "slug invalid_value");
  EXPECT_EQ(everything(R"("slug":"ab-12x")"), "slug invalid_value");
  EXPECT_EQ(everything(R"("link":"no scheme")"), "link invalid_value");
  EXPECT_EQ(everything(R"("link":"https://x.org/a")"), "fits");
  EXPECT_EQ(everything(R"("data":"YQ=")"), "data invalid_value");
  EXPECT_EQ(everything(R"("data":"Y?==")"), "data invalid_value");
}

TEST(Validator, ListsTheValuesOfEnums) {
  EXPECT_EQ(everything(R"("color":"blue")"), "color invalid_value");
  EXPECT_EQ(everything(R"("color":null)"), "fits");
  EXPECT_EQ(everything(R"("color":4)"), "color invalid_value");
  EXPECT_EQ(everything(R"("size":3)"), "size invalid_value");
  EXPECT_EQ(everything(R"("accepted":false)"), "accepted invalid_value");
  EXPECT_EQ(message(fixture::everything, R"({"name":"n","color":"blue"})"),
            "'color' cannot be 'blue'. Supported values are: 'red', 'green'.");
}

TEST(Validator, BoundsArraysAndMaps) {
  EXPECT_EQ(everything(R"("items":[])"), "items empty_array");
  EXPECT_EQ(everything(R"("items":[1,2,3,4])"), "items array_above_max_length");
  EXPECT_EQ(everything(R"("items":[1,"2"])"), "items[1] invalid_type");
  EXPECT_EQ(everything(R"("pairs":["a"])"), "pairs array_below_min_length");
  EXPECT_EQ(everything(R"("tags":null)"), "fits");
  EXPECT_EQ(everything(R"("tags":{"a":"1","b":"2","c":"3"})"), "tags object_above_max_properties");
  EXPECT_EQ(everything(R"("tags":{"abcde":"1"})"), "tags object_key_above_max_length");
  EXPECT_EQ(everything(R"("tags":{"a":"123456789"})"), "tags.a string_above_max_length");
}

TEST(Validator, TakesUnionsApartByKindThenByField) {
  EXPECT_EQ(everything(R"("input":"a")"), "fits");
  EXPECT_EQ(everything(R"("input":["a","b"])"), "fits");
  EXPECT_EQ(everything(R"("input":[1,2])"), "fits");
  EXPECT_EQ(everything(R"("input":[[1],[2]])"), "fits");
  EXPECT_EQ(everything(R"("input":5)"), "input invalid_type");
  EXPECT_EQ(everything(R"("input":["a","b",3])"), "input[2] invalid_type");
  EXPECT_EQ(everything(R"("input":[[1],[2,"x"]])"), "input[1][1] invalid_type");
  EXPECT_EQ(everything(R"("part":{"type":"text","text":"t"})"), "fits");
  EXPECT_EQ(everything(R"("part":{"type":"picture","image":{"url":"u"}})"), "fits");
  EXPECT_EQ(everything(R"("part":{"type":"image","image":{}})"), "part.image.url missing_required_parameter");
  EXPECT_EQ(everything(R"("part":{"type":"sound"})"), "part.type invalid_value");
  EXPECT_EQ(everything(R"("part":{"type":5})"), "part.type invalid_type");
  EXPECT_EQ(everything(R"("part":{"extra":5})"), "fits");
  EXPECT_EQ(everything(R"("part":{"extra":"5"})"), "part.extra invalid_type");
  EXPECT_EQ(everything(R"("part":"text")"), "part invalid_type");
  EXPECT_EQ(everything(R"("choice":"auto")"), "fits");
  EXPECT_EQ(everything(R"("choice":"never")"), "choice invalid_value");
  EXPECT_EQ(everything(R"("choice":{"nam":"x"})"), "choice.nam unknown_parameter");
}

TEST(Validator, FollowsRecursionWithTheExactPath) {
  EXPECT_EQ(everything(R"("filter":{"type":"and","filters":[{"type":"eq","value":1},
    {"type":"or","filters":[{"type":"ne","value":[]}]}]})"),
            "filter.filters[1].filters[0].value invalid_type");
  std::string deep = R"({"name":"n"})";
  for (int i = 0; i < 300; ++i)
    deep = R"({"name":"n","child":)" + deep + "}";
  boost::json::parse_options options;
  options.max_depth = 1000;
  const json::value value = boost::json::parse(deep, {}, options);
  EXPECT_EQ(subject().validate(fixture::everything, value, Strictness::request)->code, code::value);
}

TEST(Validator, LetsTheFurthestArmSpeakWhereNothingTellsThemApart) {
  EXPECT_EQ(verdict(fixture::undecided, R"({"a":1})"), "fits");
  EXPECT_EQ(verdict(fixture::undecided, R"({"b":{"c":1}})"), "fits");
  EXPECT_EQ(verdict(fixture::undecided, R"({"b":{"c":"x"}})"), "b.c invalid_type");
}

TEST(Validator, WantsCompanionsInRequestsOnly) {
  EXPECT_EQ(everything(R"("partner":"p")"), "partner invalid_value");
  EXPECT_EQ(verdict(fixture::everything, R"({"name":"n","partner":"p"})", Strictness::reply), "fits");
}

TEST(Validator, CollectsWhatIsIgnored) {
  std::vector<std::string> ignored;
  const json::value value = parsed(R"({"name":"n","old_hint":"x","part":{"type":"loose","old_hint":"y"}})");
  EXPECT_FALSE(subject().validate(fixture::everything, value, Strictness::request, &ignored));
  EXPECT_EQ(ignored, (std::vector<std::string>{"old_hint", "part.old_hint"}));
  ignored.clear();
  EXPECT_FALSE(subject().validate(fixture::everything,
                                  parsed(R"({"name":"n","named":{"a\r\nb":{"old_hint":"x"}}})"),
                                  Strictness::request, &ignored));
  EXPECT_EQ(ignored, std::vector<std::string>{"named.a??b.old_hint"});  // fit for a header
  ignored.clear();
  EXPECT_FALSE(subject().validate(fixture::undecided, parsed(R"({"hint":"h","b":{"c":1}})"),
                                  Strictness::request, &ignored));
  EXPECT_EQ(ignored, std::vector<std::string>{"hint"});  // not once per arm that was tried
}

TEST(Validator, CutsLongNamesAndValuesInMessages) {
  const std::string long_name(5000, 'x');
  const auto violation =
      subject().validate(fixture::everything, parsed("{\"" + long_name + "\":1}"), Strictness::request);
  EXPECT_LT(violation->param.size(), 100U);
  EXPECT_LT(message(fixture::everything, R"({"name":"n","color":")" + long_name + "\"}").size(), 200U);
}

TEST(Validator, GivesDefaults) {
  EXPECT_EQ(*subject().find_default(fixture::everything, "whole"), json::value(7));
  EXPECT_EQ(subject().find_default(fixture::everything, "name"), nullptr);
  EXPECT_EQ(subject().find_default(fixture::everything, "none"), nullptr);
  json::object object{{"name", "n"}};
  subject().apply_defaults(fixture::everything, object);
  EXPECT_EQ(json::value(object), parsed(R"({"name":"n","whole":7})"));
}

TEST(Validator, ChecksRepliesOfTheApiItself) {
  EXPECT_NE(generated_schemas.error_schema, no_schema);
  EXPECT_FALSE(validate(generated_schemas.error_schema,
                        parsed(R"({"error":{"message":"m","type":"t","param":null,"code":null}})"),
                        Strictness::reply));
  EXPECT_TRUE(
      validate(generated_schemas.error_schema, parsed(R"({"error":{"message":"m"}})"), Strictness::reply));
}

}  // namespace
}  // namespace hearth::contract
