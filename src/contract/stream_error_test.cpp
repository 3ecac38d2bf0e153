#include "contract/stream_error.hpp"

#include <gtest/gtest.h>

#include "contract/fixture.hpp"

namespace hearth::contract {
namespace {

std::string shown(std::string_view operation, std::string_view code) {
  static const Validator validator(fixture::tables.schemas);
  const json::value body = {{"error",
                             {{"message", "It broke."},
                              {"type", "server_error"},
                              {"param", nullptr},
                              {"code", code.empty() ? json::value(nullptr) : json::value(code)}}}};
  const auto& rows = fixture::tables.operations.operations;
  const Operation& own = *std::ranges::find(rows, operation, &Operation::name);
  const StreamError error = stream_error(validator, own, body, 7);
  EXPECT_FALSE(validator.validate(own.error_event.schema, error.data, Strictness::reply));
  return std::string(error.event) + " " + json::write(error.data);
}

TEST(StreamError, IsTheBodyOfTheErrorWhereNothingIsSaid) {
  EXPECT_EQ(shown("create_thing", "x"),
            R"( {"error":{"message":"It broke.","type":"server_error","param":null,"code":"x"}})");
}

TEST(StreamError, FillsInTheSchemaOfItsEvent) {
  EXPECT_EQ(shown("run_thing", ""),
            R"(failed {"type":"error","message":"It broke.","code":null,"sequence_number":7})");
}

}  // namespace
}  // namespace hearth::contract
