#include "db/database.hpp"

#include <algorithm>
#include <csignal>
#include <set>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "async/scope.hpp"
#include "base/api_error.hpp"
#include "db/sqlite.hpp"
#include "db/test_database.hpp"

namespace hearth::db {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<Database> open(const TestDatabase& place, std::chrono::milliseconds lock_timeout = 5000ms) {
  auto driver = place.open(lock_timeout);
  driver->connect(Access::write)->execute("CREATE TABLE IF NOT EXISTS t (id TEXT NOT NULL PRIMARY KEY)");
  return std::make_unique<Database>(std::move(driver), Database::Options{});
}

Task<void> insert(Database& database, std::string id) {
  co_await database.write(WriteScope::everyone(), [id](Connection& connection) {
    connection.execute("INSERT INTO t (id) VALUES ($1)", {id});
  });
}

Task<std::set<std::string>> list(Database& database) {
  co_return co_await database.read([](Connection& connection) {
    std::set<std::string> ids;
    for (const Row row : connection.query("SELECT id FROM t"))
      ids.insert(row.get<std::string>(0));
    return ids;
  });
}

// The status of the ApiError that ends `task`, 0 when nothing does.
Task<int> status_of(Task<void> task) {
  try {
    co_await std::move(task);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.code(), "storage_unavailable");
    co_return error.status();
  }
  co_return 0;
}

// EXPECT_* works in coroutines, ASSERT_* (which returns) does not.
class DatabaseFixture : public testing::Test {
 protected:
  explicit DatabaseFixture(Engine engine) : place_(engine) {
    if (TestDatabase::is_available(engine)) database_ = open(place_);
  }
  void run(Task<void> task) { runtime_.run_until_complete(std::move(task)); }

  TestDatabase place_;
  async::Runtime runtime_{1};
  std::unique_ptr<Database> database_;
};

class DatabaseTest : public DatabaseFixture, public testing::WithParamInterface<Engine> {
 protected:
  DatabaseTest() : DatabaseFixture(GetParam()) {}
  void SetUp() override { HEARTH_SKIP_WITHOUT(GetParam()); }
};

class DatabaseOnSqlite : public DatabaseFixture {
 protected:
  DatabaseOnSqlite() : DatabaseFixture(Engine::sqlite) {}
};

TEST_P(DatabaseTest, ReturnsWhatTheWorkReturns) {
  run([](Database& database) -> Task<void> {
    const auto moved =
        co_await database.write(WriteScope::everyone(), [](Connection&) { return std::make_unique<int>(7); });
    EXPECT_EQ(*moved, 7);
    co_await insert(database, "a");
    EXPECT_EQ(co_await list(database), std::set<std::string>{"a"});
    const auto owner = std::make_shared<int>(1);
    auto capture = std::make_unique<int>(3);
    const int read = co_await database.read([value = std::move(capture)](Connection&) { return *value; });
    EXPECT_EQ(read, 3);
  }(*database_));
}

TEST_P(DatabaseTest, GroupsWritesIntoFewCommits) {
  run([](Database& database) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    for (int i = 0; i < 200; ++i)
      scope.spawn("insert", insert(database, std::to_string(i)));
    co_await scope.join();
    EXPECT_EQ((co_await list(database)).size(), 200u);
  }(*database_));
  EXPECT_EQ(database_->counters().writes, 200u);
  EXPECT_LT(database_->counters().commits, 50u);
}

TEST_P(DatabaseTest, AWorkThatThrowsUndoesOnlyItself) {
  run([](Database& database) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    int thrown = 0;
    const auto insert_and_throw = [](Database& db, std::string id, int& count) -> Task<void> {
      try {
        co_await db.write(WriteScope::everyone(), [id](Connection& connection) {
          connection.execute("INSERT INTO t (id) VALUES ($1)", {"bad" + id});
          throw std::out_of_range("mine");
        });
      } catch (const std::out_of_range&) {
        ++count;
      }
    };
    const auto insert_twice = [](Database& db, std::string id, int& count) -> Task<void> {
      try {
        co_await db.write(WriteScope::everyone(), [id](Connection& connection) {
          connection.execute("INSERT INTO t (id) VALUES ($1)", {"twice" + id});
          connection.execute("INSERT INTO t (id) VALUES ($1)", {"twice" + id});
        });
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::constraint);
        ++count;
      }
    };
    for (int i = 0; i < 30; ++i) {
      scope.spawn("good", insert(database, std::to_string(i)));
      scope.spawn("bad", insert_and_throw(database, std::to_string(i), thrown));
      scope.spawn("twice", insert_twice(database, std::to_string(i), thrown));
    }
    co_await scope.join();
    EXPECT_EQ(thrown, 60);
    EXPECT_EQ((co_await list(database)).size(), 30u);
  }(*database_));
  EXPECT_LT(database_->counters().commits, 45u);
}

TEST_P(DatabaseTest, AReadIsOneSnapshot) {
  run([](Database& database) -> Task<void> {
    std::atomic<bool> wrote{false};
    async::Scope scope(co_await boost::asio::this_coro::executor);
    const auto reader = [](Database& db, std::atomic<bool>& written) -> Task<void> {
      const bool same = co_await db.read([&](Connection& connection) {
        const auto before = connection.query("SELECT COUNT(*) FROM t")[0].get<int>(0);
        for (int i = 0; i < 2000 && !written; ++i)
          std::this_thread::sleep_for(1ms);
        return before == connection.query("SELECT COUNT(*) FROM t")[0].get<int>(0);
      });
      EXPECT_TRUE(written);
      EXPECT_TRUE(same);
    };
    scope.spawn("reader", reader(database, wrote));
    co_await insert(database, "a");
    wrote = true;
    co_await scope.join();
  }(*database_));
}

TEST_P(DatabaseTest, TwoProcessesShareTheWriting) {
  const auto other = open(place_);
  run([](Database& here, Database& there) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    for (int i = 0; i < 100; ++i) {
      scope.spawn("here", insert(here, fmt::format("here{}", i)));
      scope.spawn("there", insert(there, fmt::format("there{}", i)));
    }
    co_await scope.join();
    EXPECT_EQ((co_await list(here)).size(), 200u);
    EXPECT_EQ((co_await list(there)).size(), 200u);
  }(*database_, *other));
}

TEST_P(DatabaseTest, GivesUpOnALockThatIsNeverReleased) {
  const auto impatient = open(place_, 20ms);
  const auto holder = place_.open()->connect(Access::write);
  holder->begin();
  holder->query("SELECT 1");
  run([](Database& database) -> Task<void> {
    EXPECT_EQ(co_await status_of(insert(database, "a")), 503);
    EXPECT_EQ((co_await list(database)).size(), 0u);  // readers are not held up
  }(*impatient));
  holder->rollback();
  run([](Database& database) -> Task<void> {
    EXPECT_EQ(co_await status_of(insert(database, "a")), 0);
  }(*impatient));
}

TEST_F(DatabaseOnSqlite, AFullDiskFailsTheWriteAndLosesNothing) {
  run([](Database& database) -> Task<void> {
    const auto limit_pages = [](Database& db, int pages) -> Task<void> {
      co_await db.write(WriteScope::everyone(), [pages](Connection& connection) {
        connection.query(fmt::format("PRAGMA max_page_count = {}", pages));
      });
    };
    std::set<std::string> acknowledged;
    co_await limit_pages(database, 20);
    int failed = 0;
    for (int i = 0; i < 40; ++i) {
      const std::string id = fmt::format("{}-{}", i, std::string(3000, 'x'));
      const int status = co_await status_of(insert(database, id));
      if (status == 0) {
        acknowledged.insert(id);
      } else {
        EXPECT_EQ(status, 503);
        ++failed;
      }
    }
    EXPECT_GT(failed, 0);
    EXPECT_FALSE(acknowledged.empty());
    EXPECT_EQ(co_await list(database), acknowledged);
    co_await limit_pages(database, 100'000);
    EXPECT_EQ(co_await status_of(insert(database, "later")), 0);
    acknowledged.insert("later");
    EXPECT_EQ(co_await list(database), acknowledged);
  }(*database_));
}

// No byte more may be written to any file: every commit fails in write(2).
class NoSpace {
 public:
  NoSpace() {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit none = old_;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoSpace() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }
  NoSpace(const NoSpace&) = delete;

 private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

TEST_F(DatabaseOnSqlite, AFailedCommitFailsItsWholeGroup) {
  run([](Database& database) -> Task<void> {
    co_await insert(database, "before");
    int refused = 0;
    {
      const NoSpace no_space;
      async::Scope scope(co_await boost::asio::this_coro::executor);
      const auto count_refusal = [](Database& db, std::string id, int& count) -> Task<void> {
        if (co_await status_of(insert(db, std::move(id))) == 503) ++count;
      };
      for (int i = 0; i < 10; ++i)
        scope.spawn("insert", count_refusal(database, std::to_string(i), refused));
      co_await scope.join();
    }
    EXPECT_EQ(refused, 10);
    EXPECT_EQ(co_await status_of(insert(database, "after")), 0);
    EXPECT_EQ(co_await list(database), (std::set<std::string>{"before", "after"}));
  }(*database_));
}

TEST_P(DatabaseTest, FinishesWhatItHasBeforeItDies) {
  async::Runtime other(1);
  run([](std::unique_ptr<Database>& database) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    for (int i = 0; i < 20; ++i)
      scope.spawn("insert", insert(*database, std::to_string(i)));
    co_await boost::asio::post(scope.executor(), boost::asio::use_awaitable);  // they have begun
    database.reset();
    co_await scope.join();
  }(database_));
  database_ = open(place_);
  run([](Database& database) -> Task<void> { EXPECT_EQ((co_await list(database)).size(), 20u); }(*database_));
}

// The child writes from several coroutines and names each write in the pipe after it was acknowledged.
[[noreturn]] void write_until_killed(const TestDatabase& place, int acknowledgements) {
  async::Runtime runtime(1);
  const auto database = open(place);
  runtime.run_until_complete([](Database& db, int pipe) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    const auto writer = [](Database& target, int out, int number) -> Task<void> {
      for (int i = 0; i < 100'000; ++i) {
        const std::string id = fmt::format("{:02}-{:06}", number, i);
        co_await insert(target, id);
        if (::write(out, id.data(), id.size()) != static_cast<ssize_t>(id.size())) ::_exit(2);
      }
    };
    for (int number = 0; number < 8; ++number)
      scope.spawn("writer", writer(db, pipe, number));
    co_await scope.join();
  }(*database, acknowledgements));
  ::_exit(0);
}

class Durability : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override { HEARTH_SKIP_WITHOUT(GetParam()); }
};

TEST_P(Durability, WhatWasAcknowledgedSurvivesAKill) {
  constexpr std::size_t id_length = 9;
  std::set<std::string> acknowledged;
  for (int round = 0; round < 3; ++round) {
    const TestDatabase place(GetParam());
    acknowledged.clear();
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      write_until_killed(place, ends[1]);
    }
    ::close(ends[1]);
    const std::size_t enough = 150 + 77 * static_cast<std::size_t>(round);
    std::string id(id_length, '\0');
    bool killed = false;
    // Writes of 9 bytes to a pipe are whole; what was acknowledged before the kill is read to the end.
    while (::read(ends[0], id.data(), id_length) == static_cast<ssize_t>(id_length)) {
      acknowledged.insert(id);
      if (!killed && acknowledged.size() >= enough) {
        ::kill(child, SIGKILL);
        killed = true;
      }
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    async::Runtime runtime(1);
    const auto database = open(place);
    runtime.run_until_complete([](Database& db, const std::set<std::string>& expected) -> Task<void> {
      const auto found = co_await list(db);
      EXPECT_TRUE(std::ranges::includes(found, expected));
    }(*database, acknowledged));
  }
}

std::string name_of_case(const testing::TestParamInfo<Engine>& info) {
  return name_of(info.param);
}
INSTANTIATE_TEST_SUITE_P(Engines, DatabaseTest, testing::ValuesIn(engines), name_of_case);
INSTANTIATE_TEST_SUITE_P(Engines, Durability, testing::ValuesIn(engines), name_of_case);

}  // namespace
}  // namespace hearth::db
