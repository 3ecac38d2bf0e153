#include "store/schema.hpp"

#include <array>

#include <gtest/gtest.h>

#include "base/text.hpp"

namespace hearth::store {
namespace {

// The SHA-256 of each released migration. A release adds lines and changes none: databases in use have run
// these texts.
constexpr std::array<std::string_view, 6> released{
    "a7ddb9ef2aed739729358a1781533d2eb565b0a951dc45d70f932d2ac4f00bc2",
    "0ae50a3fe668f6c556caa3d33fddbe23a071236446f4edcbb03de092d36c1733",
    "af31ddc418f694f23714aa4bfac817eacb602eabbf9b87ff1c305a1b2372ab4f",
    "8e4843a8f5b734efdbc36e44824a8095fc4a3f5bb5603cb578b44d51074fdb56",
    "e79104a6a4c6c25ced7d163fc1fbb38e5c5c70f7ec49302c2a9d34cd9faf97e7",
    "c76ebb746a0d852341c570458b0dd0bc8848af7a7beba75fda710d32b23f7bf8",
};

TEST(Migrations, ReleasedOnesNeverChange) {
  ASSERT_GE(migrations().size(), released.size());
  for (std::size_t i = 0; i < released.size(); ++i)
    EXPECT_EQ(text::sha256_hex(migrations()[i].sql), released[i]) << migrations()[i].name;
}

TEST(Migrations, AreNumberedFromOneWithoutGaps) {
  int expected = 1;
  for (const db::Migration& migration : migrations())
    EXPECT_EQ(migration.version, expected++) << migration.name;
}

}  // namespace
}  // namespace hearth::store
