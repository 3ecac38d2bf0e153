#include "db/copy.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

#include <gtest/gtest.h>

#include "db/test_database.hpp"

namespace hearth::db {
namespace {

constexpr std::string_view schema =
    "CREATE TABLE kinds (a TEXT NOT NULL, b BIGINT NOT NULL, d DOUBLE PRECISION, i INTEGER, s TEXT, "
    "y BLOB, PRIMARY KEY (b, a));"
    "CREATE TABLE zz_parents (id TEXT NOT NULL PRIMARY KEY);"
    "CREATE TABLE children (id TEXT NOT NULL PRIMARY KEY, parent TEXT NOT NULL REFERENCES zz_parents (id));"
    "CREATE TABLE left_out (id TEXT NOT NULL PRIMARY KEY);";

class Copy : public testing::TestWithParam<std::tuple<Engine, Engine>> {
 protected:
  void SetUp() override {
    HEARTH_SKIP_WITHOUT(Engine::postgres);
    target_->execute_script(schema);
    source_->execute_script(schema);
    target_->execute("INSERT INTO zz_parents (id) VALUES ('of a migration')");
    source_->begin();
    for (int i = 0; i < 3000; ++i) {
      source_->execute(
          "INSERT INTO kinds (a, b, d, i, s, y) VALUES ($1, $2, $3, $4, $5, $6)",
          {fmt::format("{}", i % 7), i / 7, i % 3 == 0 ? std::optional<double>() : i / 7.0,
           i % 5 == 0 ? std::nullopt : std::optional(i), i % 11 == 0 ? std::string(300, 'x') : "",
           i % 13 == 0 ? std::nullopt
                       : std::optional(Bytes{std::string(i % 4, static_cast<char>(i % 256))})});
    }
    const std::vector<std::string> texts{"", std::string("\0\x01", 2), "\xff", "\xc3\xa9", "Z", "a", "_"};
    for (const std::string& text : texts) {
      source_->execute("INSERT INTO zz_parents (id) VALUES ($1)", {text});
      source_->execute("INSERT INTO children (id, parent) VALUES ($1, $1)", {text});
      source_->execute("INSERT INTO left_out (id) VALUES ($1)", {text});
    }
    source_->execute("INSERT INTO kinds (a, b, d) VALUES ('', $1, $2)",
                     {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<double>::denorm_min()});
    source_->execute("INSERT INTO kinds (a, b, y) VALUES ('large', 0, $1)",
                     {Bytes{std::string(std::size_t{1} << 20, '\xff')}});
    source_->commit();
    source_->begin();
    target_->begin();
  }
  void TearDown() override {
    source_.reset();
    target_.reset();
  }

  static std::unique_ptr<Session> connect(const TestDatabase& database) {
    return TestDatabase::is_available(Engine::postgres) ? database.open()->connect(Access::write) : nullptr;
  }

  TestDatabase from_{std::get<0>(GetParam())};
  TestDatabase to_{std::get<1>(GetParam())};
  std::unique_ptr<Session> source_ = connect(from_);
  std::unique_ptr<Session> target_ = connect(to_);
};

TEST_P(Copy, EveryRowArrives) {
  const std::vector<std::string> left_out{"left_out"};
  const auto copied = copy_rows(*source_, *target_, left_out);
  target_->commit();
  ASSERT_EQ(copied.size(), 3u);
  const auto rows_of = [&](std::string_view name) {
    return std::ranges::find(copied, name, &CopiedTable::name)->rows;
  };
  EXPECT_EQ(rows_of("kinds"), 3002);
  EXPECT_EQ(rows_of("zz_parents"), 7);
  EXPECT_EQ(rows_of("children"), 7);
  EXPECT_TRUE(target_->query("SELECT id FROM left_out").empty());
  EXPECT_EQ(target_->query("SELECT id FROM zz_parents WHERE id = $1", {"\xff"}).size(), 1u);
}

TEST_P(Copy, ADifferenceIsNoticed) {
  copy_rows(*source_, *target_, {});
  const auto tables = target_->list_tables();
  const Table& kinds = *std::ranges::find(tables, "kinds", &Table::name);
  EXPECT_EQ(verify_table(*source_, *target_, kinds).rows, 3002);
  for (const char* damage :
       {"DELETE FROM kinds WHERE b = 100 AND a = '3'", "UPDATE kinds SET i = i + 1 WHERE b = 100 AND a = '2'",
        "UPDATE kinds SET s = NULL WHERE b = 100 AND a = '2'",
        "UPDATE kinds SET d = d + 1e-9 WHERE b = 100 AND a = '4'",
        "UPDATE kinds SET y = NULL WHERE b = 100 AND a = '1'",
        "UPDATE kinds SET y = (SELECT y FROM kinds WHERE b = 100 AND a = '3') WHERE b = 100 AND a = '1'",
        "INSERT INTO kinds (a, b) VALUES ('', 1000000)",
        "UPDATE kinds SET b = 1000000 WHERE b = 100 AND a = '2'"}) {
    target_->set_savepoint();
    ASSERT_EQ(target_->execute(damage), 1) << damage;
    EXPECT_THROW(verify_table(*source_, *target_, kinds), Error) << damage;
    target_->rollback_to_savepoint();
  }
  EXPECT_EQ(verify_table(*source_, *target_, kinds).rows, 3002);
}

TEST_P(Copy, OtherColumnsAreRefused) {
  target_->execute_script("ALTER TABLE children ADD COLUMN more TEXT");
  EXPECT_THROW(copy_rows(*source_, *target_, {}), Error);
}

INSTANTIATE_TEST_SUITE_P(Engines, Copy,
                         testing::Values(std::tuple(Engine::sqlite, Engine::postgres),
                                         std::tuple(Engine::postgres, Engine::sqlite)),
                         [](const auto& info) {
                           return name_of(std::get<0>(info.param)) + "_to_" +
                                  name_of(std::get<1>(info.param));
                         });

TEST(CopyOrder, ReferencesComeFirst) {
  const auto table = [](std::string name, std::vector<std::string> references) {
    return Table{std::move(name), {"id"}, {"id"}, std::move(references)};
  };
  const auto ordered = order_by_references({table("a", {"b", "c"}), table("b", {"c"}), table("c", {})});
  EXPECT_EQ(ordered[0].name, "c");
  EXPECT_EQ(ordered[1].name, "b");
  EXPECT_EQ(ordered[2].name, "a");
  EXPECT_THROW(order_by_references({table("a", {"b"}), table("b", {"a"})}), Error);
  EXPECT_THROW(order_by_references({table("a", {"a"})}), Error);
  EXPECT_THROW(order_by_references({Table{"a", {"id"}, {}, {}}}), Error);
}

}  // namespace
}  // namespace hearth::db
