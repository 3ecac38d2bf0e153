#include "db/sqlite.hpp"

#include <fstream>
#include <limits>
#include <sys/stat.h>
#include <thread>

#include <gtest/gtest.h>

#include "db/migrations.hpp"
#include "db/test_directory.hpp"

namespace hearth::db {
namespace {

class Sqlite : public testing::Test {
 protected:
  std::unique_ptr<Driver> open() { return open_sqlite({.file = directory_.path() / "test.db"}); }

  TestDirectory directory_;
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

TEST_F(Sqlite, KeepsEveryKindOfValue) {
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

TEST_F(Sqlite, NumbersItsPlaceholders) {
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

TEST_F(Sqlite, StatementsStayUsableAfterErrors) {
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

TEST_F(Sqlite, ReadersCannotWrite) {
  const auto driver = open();
  driver->connect(Access::write)->execute("CREATE TABLE t (id TEXT)");
  EXPECT_TRUE(kind_thrown_by([&] {
                driver->connect(Access::read)->execute("INSERT INTO t VALUES ('x')");
              }).has_value());
}

TEST_F(Sqlite, OnlyItsOwnerMayReadTheFiles) {
  const auto driver = open();
  driver->connect(Access::write)->execute("CREATE TABLE t (id TEXT)");
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    struct stat status{};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << entry.path();
  }
}

TEST_F(Sqlite, SaysWhyItCannotOpen) {
  EXPECT_EQ(kind_thrown_by([&] { open_sqlite({.file = directory_.path() / "none" / "test.db"}); }),
            ErrorKind::unavailable);
  const auto file = directory_.path() / "text.db";
  std::ofstream(file) << std::string(5000, 'x');
  EXPECT_EQ(kind_thrown_by([&] { open_sqlite({.file = file}); }), ErrorKind::unavailable);
}

TEST_F(Sqlite, ChangeTokenFollowsEveryCommit) {
  const auto here = open();
  const auto there = open();  // as another process would
  const auto session = here->connect(Access::write);
  const auto before_here = here->change_token();
  const auto before_there = there->change_token();
  EXPECT_EQ(here->change_token(), before_here);
  session->begin();
  session->execute("CREATE TABLE t (id TEXT)");
  EXPECT_EQ(here->change_token(), before_here);
  session->commit();
  EXPECT_NE(here->change_token(), before_here);
  EXPECT_NE(there->change_token(), before_there);
  EXPECT_EQ(there->change_token(), there->change_token());
}

constexpr std::array test_migrations{
    Migration{1, "one", "CREATE TABLE a (id TEXT); INSERT INTO a VALUES ('kept');"},
    Migration{2, "two", "CREATE TABLE b (id TEXT); INSERT INTO b SELECT id FROM a;"},
};

TEST_F(Sqlite, MigratesOnceAndForward) {
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

TEST_F(Sqlite, AFailedMigrationLeavesNothing) {
  const auto driver = open();
  constexpr std::array broken{Migration{1, "broken", "CREATE TABLE a (id TEXT); SELECT nonsense;"}};
  EXPECT_THROW(migrate(*driver, broken), Error);
  migrate(*driver, test_migrations);
}

TEST_F(Sqlite, TwoMayMigrateAtOnce) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] { EXPECT_NO_THROW(migrate(*open(), test_migrations)); });
  }
  threads.clear();
  EXPECT_EQ(open()->connect(Access::read)->query("SELECT id FROM b").size(), 1u);
}

}  // namespace
}  // namespace hearth::db
