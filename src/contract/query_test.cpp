#include "contract/query.hpp"

#include <gtest/gtest.h>

#include "contract/fixture.hpp"

namespace hearth::contract {
namespace {

const Validator& subject() {
  static const Validator validator(fixture::tables.schemas);
  return validator;
}

// The object as JSON, or "param code".
std::string shown(const ParameterResult& result) {
  if (!result) return result.error().param + " " + std::string(result.error().code);
  return json::write(json::value(*result));
}

std::string query(std::string_view text) {
  return shown(read_query(subject(), fixture::tables.operations.operations[0].query_fields, text));
}

TEST(Query, FillsInDefaults) {
  EXPECT_EQ(query(""), R"({"limit":20,"order":"asc"})");
  EXPECT_EQ(query("before=x"), R"({"before":"x","limit":20,"order":"asc"})");
  EXPECT_EQ(query("limit=5&order=desc&exact=true&after=a%2Fb+c"),
            R"({"limit":5,"order":"desc","exact":true,"after":"a/b c"})");
}

TEST(Query, ReadsArraysAndObjectsInEverySpelling) {
  const std::string rest = R"(,"limit":20,"order":"asc"})";
  EXPECT_EQ(query("include=x&include=y.z"), R"({"include":["x","y.z"])" + rest);
  EXPECT_EQ(query("include[]=x&include%5B%5D=y.z"), R"({"include":["x","y.z"])" + rest);
  EXPECT_EQ(query("include[0]=x"), R"({"include":["x"])" + rest);
  EXPECT_EQ(query("metadata[k]=1&metadata[l]=2"), R"({"metadata":{"k":"1","l":"2"})" + rest);
  EXPECT_EQ(query("effective_at[gt]=5"), R"({"effective_at":{"gt":5})" + rest);
  EXPECT_EQ(query("ids=a"), R"({"ids":"a")" + rest);
  EXPECT_EQ(query("ids[]=a"), R"({"ids":["a"])" + rest);
  EXPECT_EQ(query("ids=a&ids=b&ids[]=c"), R"({"ids":["a","b","c"])" + rest);
}

TEST(Query, NamesTheFaultByItsPath) {
  EXPECT_EQ(query("limit=x"), "limit invalid_type");
  EXPECT_EQ(query("limit="), "limit invalid_type");
  EXPECT_EQ(query("limit=0"), "limit integer_below_min_value");
  EXPECT_EQ(query("limit=5&limit=6"), "limit invalid_value");
  EXPECT_EQ(query("order=up"), "order invalid_value");
  EXPECT_EQ(query("exact=maybe"), "exact invalid_type");
  EXPECT_EQ(query("include[]=x&include[]=q"), "include[1] invalid_value");
  EXPECT_EQ(query("include=x&include=x&include=x"), "include array_above_max_length");
  EXPECT_EQ(query("nobody=1"), "nobody unknown_parameter");
  EXPECT_EQ(query("limit[a]=1"), "limit invalid_type");
  EXPECT_EQ(query("metadata=1"), "metadata invalid_type");
  EXPECT_EQ(query("effective_at[eq]=5"), "effective_at.eq unknown_parameter");
  EXPECT_EQ(query("effective_at[gt]=x"), "effective_at.gt invalid_type");
  EXPECT_EQ(query("metadata[a][b]=1"), "metadata.a invalid_type");
  EXPECT_EQ(query("a[b]c=1&limit=1"), "a[b]c unknown_parameter");
  EXPECT_EQ(query("after=%zz"), "after invalid_value");
  EXPECT_EQ(query("after=%ff"), "after invalid_value");
  EXPECT_EQ(query("after=%00"), "after invalid_value");
  EXPECT_EQ(query("[]=1"), "[] unknown_parameter");
  EXPECT_EQ(query("&&=1"), " unknown_parameter");
  EXPECT_EQ(query("metadata[a]=1&metadata=2"), "metadata invalid_value");
}

TEST(Path, IsTypedByTheContract) {
  const RouteResult routed = route("GET", "/v1/models/a%2Fb");
  EXPECT_EQ(json::write(json::value(read_path(Validator::api(), std::get<Route>(routed)))),
            R"({"model":"a/b"})");
}

}  // namespace
}  // namespace hearth::contract
