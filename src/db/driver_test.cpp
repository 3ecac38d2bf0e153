// What every driver promises.
#include <array>
#include <limits>
#include <thread>

#include <gtest/gtest.h>

#include "db/migrations.hpp"
#include "db/test_database.hpp"

namespace hearth::db {
namespace {

using namespace std::chrono_literals;

class DriverTest : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override { HEARTH_SKIP_WITHOUT(GetParam()); }
  std::unique_ptr<Driver> open() { return database_.open(); }

  TestDatabase database_{GetParam()};
};

// The kind of the error that `work` throws.
template <class Work>
std::optional<ErrorKind> kind_thrown_by(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error.kind();
  }
  return std::nullopt;
}

template <class Condition>
bool within_a_second(Condition condition) {
  for (const auto end = std::chrono::steady_clock::now() + 1s; std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

TEST_P(DriverTest, KeepsEveryKindOfValue) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute("CREATE TABLE t (i BIGINT, d DOUBLE PRECISION, s TEXT, n TEXT)");
  const std::string text("a\0b \xc3\xa9", 6);
  const std::optional<std::string> none;
  session->execute("INSERT INTO t (i, d, s, n) VALUES ($1, $2, $3, $4)",
                   {std::numeric_limits<std::int64_t>::min(), 0.1, text, none});
  session->execute("INSERT INTO t (i, d, s, n) VALUES ($1, $2, $3, $4)",
                   {true, 2.0, std::string_view(), std::optional<ProjectId>(ProjectId("proj_1"))});
  const Rows rows = session->query("SELECT i, d, s, n FROM t ORDER BY i");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].get<std::int64_t>(0), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(rows[0].get<double>(1), 0.1);
  EXPECT_EQ(rows[0].get<std::string>(2), text);
  EXPECT_TRUE(rows[0].is_null(3));
  EXPECT_EQ(rows[0].get<std::optional<std::string>>(3), std::nullopt);
  EXPECT_TRUE(rows[1].get<bool>(0));
  EXPECT_EQ(rows[1].get<std::string_view>(2), "");
  EXPECT_EQ(rows[1].get<ProjectId>(3), ProjectId("proj_1"));
  EXPECT_EQ(kind_thrown_by([&] { rows[0].get<std::string>(0); }), ErrorKind::statement);
  EXPECT_EQ(kind_thrown_by([&] { rows[0].get<std::string>(3); }), ErrorKind::statement);
  EXPECT_EQ(kind_thrown_by([&] { rows[0].get<std::string>(4); }), ErrorKind::statement);
}

TEST_P(DriverTest, NumbersItsPlaceholders) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  const Rows rows = session->query("SELECT $2, $1, $2", {"one", "two"});
  EXPECT_EQ(rows[0].get<std::string>(0), "two");
  EXPECT_EQ(rows[0].get<std::string>(1), "one");
  EXPECT_EQ(rows[0].get<std::string>(2), "two");
  EXPECT_EQ(kind_thrown_by([&] { session->query("SELECT $1", {}); }), ErrorKind::statement);
  EXPECT_EQ(kind_thrown_by([&] { session->query("SELECT $1", {1, 2}); }), ErrorKind::statement);
  EXPECT_EQ(kind_thrown_by([&] { session->query("SELECT ?", {1}); }), ErrorKind::statement);
  EXPECT_EQ(kind_thrown_by([&] { session->query("SELEC 1"); }), ErrorKind::statement);
}

TEST_P(DriverTest, StatementsStayUsableAfterErrors) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY)");
  const auto insert = [&](std::string_view id) {
    return session->execute("INSERT INTO t (id) VALUES ($1)", {id});
  };
  EXPECT_EQ(insert("a"), 1);
  EXPECT_EQ(kind_thrown_by([&] { insert("a"); }), ErrorKind::constraint);
  EXPECT_EQ(insert("b"), 1);
  for (int i = 0; i < 600; ++i)  // more texts than are kept
    EXPECT_EQ(session->query("SELECT " + std::to_string(i))[0].get<int>(0), i);
  EXPECT_EQ(insert("c"), 1);
}

TEST_P(DriverTest, ReadersCannotWrite) {
  const auto driver = open();
  driver->connect(Access::write)->execute("CREATE TABLE t (id TEXT)");
  EXPECT_TRUE(kind_thrown_by([&] {
                driver->connect(Access::read)->execute("INSERT INTO t VALUES ('x')");
              }).has_value());
}

TEST_P(DriverTest, ChangeTokenFollowsEveryCommit) {
  const auto here = open();
  const auto there = open();  // as another process would
  const auto session = here->connect(Access::write);
  // PostgreSQL's watcher connects first.
  const auto settled = [](Driver& driver) { return driver.change_token() == driver.change_token(); };
  EXPECT_TRUE(within_a_second([&] { return settled(*here) && settled(*there); }));
  const auto before_here = here->change_token();
  const auto before_there = there->change_token();
  EXPECT_EQ(here->change_token(), before_here);
  session->begin();
  session->execute("CREATE TABLE t (id TEXT)");
  EXPECT_EQ(here->change_token(), before_here);
  session->commit();
  EXPECT_NE(here->change_token(), before_here);
  EXPECT_TRUE(within_a_second([&] { return there->change_token() != before_there; }));
  EXPECT_EQ(there->change_token(), there->change_token());
}

constexpr std::array test_migrations{
    Migration{1, "one", "CREATE TABLE a (id TEXT); INSERT INTO a VALUES ('kept');"},
    Migration{2, "two", "CREATE TABLE b (id TEXT); INSERT INTO b SELECT id FROM a;"},
};

TEST_P(DriverTest, MigratesOnceAndForward) {
  const auto driver = open();
  migrate(*driver, std::span(test_migrations).first(1));
  migrate(*driver, test_migrations);
  migrate(*driver, test_migrations);
  const auto session = driver->connect(Access::read);
  EXPECT_EQ(session->query("SELECT id FROM b").size(), 1u);
  EXPECT_EQ(session->query("SELECT version FROM schema_migrations").size(), 2u);
  try {
    migrate(*driver, std::span(test_migrations).first(1));
    ADD_FAILURE() << "opened the database of a newer version";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
    EXPECT_NE(std::string_view(error.what()).find("newer release"), std::string_view::npos);
  }
}

TEST_P(DriverTest, AFailedMigrationLeavesNothing) {
  const auto driver = open();
  constexpr std::array broken{Migration{1, "broken", "CREATE TABLE a (id TEXT); SELECT nonsense;"}};
  EXPECT_THROW(migrate(*driver, broken), Error);
  migrate(*driver, test_migrations);
}

TEST_P(DriverTest, TwoMayMigrateAtOnce) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] { EXPECT_NO_THROW(migrate(*open(), test_migrations)); });
  }
  threads.clear();
  EXPECT_EQ(open()->connect(Access::read)->query("SELECT id FROM b").size(), 1u);
}

TEST_P(DriverTest, TextsComeInTheOrderOfTheirBytes) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute_script(
      "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY); CREATE INDEX t_by_text ON t (id);"
      "INSERT INTO t SELECT CAST('x' AS TEXT); DELETE FROM t;");
  const std::vector<std::string> ordered{"",
                                         std::string("\0", 1),
                                         std::string("\0a", 2),
                                         "\x01",
                                         "\x01\x01",
                                         "\x02",
                                         "A",
                                         "B",
                                         "_",
                                         "a",
                                         "a b",
                                         "aB",
                                         "ab",
                                         "b",
                                         "\xc3\xa9"};
  for (auto text = ordered.rbegin(); text != ordered.rend(); ++text)
    session->execute("INSERT INTO t (id) VALUES ($1)", {*text});
  std::vector<std::string> found;
  for (const Row row : session->query("SELECT id FROM t ORDER BY id"))
    found.push_back(row.get<std::string>(0));
  EXPECT_EQ(found, ordered);
  EXPECT_EQ(session->query("SELECT id FROM t WHERE id > $1", {"a b"}).size(), 4u);
}

TEST_P(DriverTest, EveryTextComesBackAsItWas) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute_script("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, s TEXT)");
  std::vector<std::string> texts;
  for (int first = 0; first < 256; ++first)
    for (const std::string_view rest : {"", "\x80", "\x01", "x\xff", "\xbf\xbf\xbf"})
      texts.push_back(std::string(1, static_cast<char>(first)) + std::string(rest));
  texts.insert(texts.end(),
               {"\xed\xa0\x80", "\xf4\x90\x80\x80", "\x01\x18\x10", "\x01\x10\x10", std::string(2, '\0')});
  session->begin();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    session->execute("INSERT INTO t (id, s) VALUES ($1, $2)", {i, texts[i]});
    EXPECT_EQ(session->query("SELECT s FROM t WHERE s = $1", {texts[i]})[0].get<std::string>(0), texts[i]);
  }
  session->commit();
  const Rows rows = session->query("SELECT s FROM t ORDER BY id");
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(rows[i].get<std::string>(0), texts[i]);
}

TEST_P(DriverTest, BytesComeBackAsTheyWere) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute_script(
      "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, b BLOB);"
      "CREATE TABLE keyed (b BLOB NOT NULL PRIMARY KEY, s TEXT NOT NULL DEFAULT 'BLOB');");
  std::string all;
  for (int byte = 0; byte < 256; ++byte)
    all.push_back(static_cast<char>(byte));
  std::string large;
  while (large.size() < (1U << 20))
    large += all;
  const std::vector<std::optional<Bytes>> values{Bytes{},       Bytes{std::string(1, '\0')},
                                                 Bytes{all},    Bytes{large},
                                                 std::nullopt,  Bytes{"\\x41"},
                                                 Bytes{"\x01"}, Bytes{"plain"}};
  session->begin();
  for (std::size_t i = 0; i < values.size(); ++i)
    session->execute("INSERT INTO t (id, b) VALUES ($1, $2)", {i, values[i]});
  session->execute("INSERT INTO t (id, b) VALUES ($1, $2)", {values.size(), BytesView{"a view"}});
  session->commit();
  const Rows rows = session->query("SELECT b FROM t ORDER BY id");
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_TRUE(rows[i].get<std::optional<Bytes>>(0) == values[i]) << i;
  EXPECT_EQ(rows[values.size()].get<BytesView>(0).content, "a view");
  EXPECT_EQ(session->query("SELECT id FROM t WHERE b IS NULL").size(), 1u);
  EXPECT_EQ(session->query("SELECT id FROM t WHERE b = $1", {Bytes{}})[0].get<int>(0), 0);
  EXPECT_EQ(session->query("SELECT id FROM t WHERE b = $1", {Bytes{all}})[0].get<int>(0), 2);
  // Neither is taken for the other.
  EXPECT_EQ(kind_thrown_by([&] { rows[7].get<std::string>(0); }), ErrorKind::statement);
  EXPECT_EQ(kind_thrown_by([&] { rows[4].get<Bytes>(0); }), ErrorKind::statement);
  EXPECT_EQ(kind_thrown_by([&] { session->query("SELECT 'x'")[0].get<Bytes>(0); }), ErrorKind::statement);

  for (const std::string_view key : {"b", "\xff", "", "a\x80", "a", "\x7f"})
    session->execute("INSERT INTO keyed (b) VALUES ($1)", {BytesView{key}});
  EXPECT_EQ(kind_thrown_by([&] { session->execute("INSERT INTO keyed (b) VALUES ($1)", {BytesView{"a"}}); }),
            ErrorKind::constraint);
  std::vector<std::string> found;
  for (const Row row : session->query("SELECT b, s FROM keyed ORDER BY b")) {
    found.push_back(row.get<Bytes>(0).content);
    EXPECT_EQ(row.get<std::string>(1), "BLOB");
  }
  EXPECT_EQ(found, (std::vector<std::string>{"", "a", "a\x80", "b", "\x7f", "\xff"}));
}

TEST_P(DriverTest, IntegersBeyondAColumnsRangeAreNotFound) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute_script("CREATE TABLE t (i INTEGER NOT NULL)");
  session->execute("INSERT INTO t (i) VALUES ($1)", {7});
  EXPECT_TRUE(session->query("SELECT i FROM t WHERE i = $1", {std::int64_t{1} << 40}).empty());
  EXPECT_EQ(session->query("SELECT i FROM t WHERE i < $1 LIMIT $2", {std::int64_t{1} << 40, 5}).size(), 1u);
}

TEST_P(DriverTest, SumsAreIntegers) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute_script("CREATE TABLE t (i BIGINT NOT NULL, small INTEGER NOT NULL)");
  for (const std::int64_t value : {1, 2, -5})
    session->execute("INSERT INTO t (i, small) VALUES ($1, $1)", {value});
  const Rows rows =
      session->query("SELECT SUM(i), CAST(SUM(i) AS BIGINT), SUM(small), MAX(i), COUNT(*) FROM t");
  EXPECT_EQ(rows[0].get<std::int64_t>(0), -2);
  EXPECT_EQ(rows[0].get<std::int64_t>(1), -2);
  EXPECT_EQ(rows[0].get<std::int64_t>(2), -2);
  EXPECT_EQ(rows[0].get<std::int64_t>(3), 2);
  EXPECT_EQ(rows[0].get<std::int64_t>(4), 3);
  EXPECT_TRUE(session->query("SELECT SUM(i) FROM t WHERE i > 9")[0].is_null(0));
}

TEST_P(DriverTest, NullsTakeTheTypeOfTheirPlace) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute_script("CREATE TABLE t (i BIGINT, s TEXT, d DOUBLE PRECISION)");
  const auto insert = [&](Param i, Param s, Param d) {
    EXPECT_EQ(session->execute("INSERT INTO t (i, s, d) VALUES ($1, $2, $3)", {i, s, d}), 1);
  };
  insert(std::nullopt, std::nullopt, std::nullopt);
  insert(1, std::nullopt, 0.5);
  insert(std::nullopt, "x", std::nullopt);
  EXPECT_EQ(session->query("SELECT i FROM t WHERE s IS NULL").size(), 2u);
}

TEST_P(DriverTest, ASavepointUndoesItsPartOnly) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute_script("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY)");
  const auto insert = [&](std::string_view id) { session->execute("INSERT INTO t (id) VALUES ($1)", {id}); };
  session->begin();
  session->set_savepoint();  // empty ones
  session->release_savepoint();
  session->set_savepoint();
  session->rollback_to_savepoint();
  session->set_savepoint();
  insert("a");
  session->release_savepoint();
  session->set_savepoint();
  insert("b");
  EXPECT_EQ(kind_thrown_by([&] { insert("a"); }), ErrorKind::constraint);
  EXPECT_TRUE(session->in_transaction());
  session->rollback_to_savepoint();
  session->set_savepoint();
  insert("c");
  session->release_savepoint();
  session->commit();
  EXPECT_FALSE(session->in_transaction());
  session->begin();
  insert("d");
  EXPECT_TRUE(session->rollback());
  EXPECT_TRUE(session->rollback());
  session->begin();  // nothing in it
  session->commit();
  EXPECT_EQ(session->query("SELECT id FROM t ORDER BY id").size(), 2u);
}

TEST_P(DriverTest, DescribesItsTables) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute_script(
      "CREATE TABLE b (two TEXT NOT NULL, one BIGINT NOT NULL, PRIMARY KEY (one, two));"
      "CREATE TABLE a (id TEXT NOT NULL PRIMARY KEY, other TEXT REFERENCES a (id), v DOUBLE PRECISION);"
      "CREATE TABLE c (id TEXT NOT NULL PRIMARY KEY REFERENCES a (id));");
  using Names = std::vector<std::string>;
  const auto tables = session->list_tables();
  ASSERT_EQ(tables.size(), 3u);
  EXPECT_EQ(tables[0].name, "a");
  EXPECT_EQ(tables[0].columns, (Names{"id", "other", "v"}));
  EXPECT_EQ(tables[0].references, (Names{"a"}));
  EXPECT_EQ(tables[1].key, (Names{"one", "two"}));
  EXPECT_EQ(tables[2].references, (Names{"a"}));
}

INSTANTIATE_TEST_SUITE_P(Engines, DriverTest, testing::ValuesIn(engines),
                         [](const auto& info) { return name_of(info.param); });

}  // namespace
}  // namespace hearth::db
