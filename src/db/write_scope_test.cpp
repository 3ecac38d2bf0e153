// Writes within scopes: what excludes whom, and that servers never wait for each other in a circle.
#include "db/write_scope.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "async/deadline.hpp"
#include "async/runtime.hpp"
#include "async/scope.hpp"
#include "db/database.hpp"
#include "db/test_database.hpp"

namespace hearth::db {
namespace {

using namespace std::chrono_literals;

WriteScope scope_of(int number) {
  return OrganizationId(fmt::format("org-{}", number));
}

TEST(WriteScope, HoldsEachPartOnceInOneOrder) {
  WriteScope one = scope_of(1);
  one |= scope_of(2);
  one |= scope_of(1);
  WriteScope other = scope_of(2);
  other |= scope_of(1);
  EXPECT_EQ(one.keys().size(), 2u);
  EXPECT_TRUE(std::ranges::equal(one.keys(), other.keys()));
  EXPECT_FALSE(std::ranges::equal(WriteScope::named("org-1").keys(), scope_of(1).keys()));
  EXPECT_FALSE(one.is_everyone());
  one |= WriteScope::everyone();
  one |= scope_of(3);
  EXPECT_TRUE(one.is_everyone());
}

// Two servers lock by these numbers, and need not be of one build.
TEST(WriteScope, NumbersNeverChange) {
  const WriteScope scope = OrganizationId("org-1");
  EXPECT_EQ(scope.keys()[0], 4'546'650'986'959'819'144);
}

// Something that happens once; every wait for it has an end.
class Signal {
 public:
  void give() {
    std::lock_guard lock(mutex_);
    given_ = true;
    changed_.notify_all();
  }
  bool wait(std::chrono::milliseconds time = 5s) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [this] { return given_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool given_ = false;  // guarded by mutex_
};

class Scopes : public testing::TestWithParam<Engine> {
 protected:
  static constexpr int scopes = 6;

  void SetUp() override {
    HEARTH_SKIP_WITHOUT(GetParam());
    const auto session = place_.open()->connect(Access::write);
    session->execute_script("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)");
    for (int id = 0; id < scopes; ++id)
      session->execute("INSERT INTO t (id, value) VALUES ($1, 0)", {id});
  }
  // A server's.
  std::unique_ptr<Database> start() {
    return std::make_unique<Database>(place_.open(30s), Database::Options{.readers = 1});
  }
  void run(Task<void> task) { runtime_.run_until_complete(async::with_deadline(60s, std::move(task))); }

  TestDatabase place_{GetParam()};
  async::Runtime runtime_{1};
};

// Looks before it writes: without the exclusion additions are lost.
Task<void> add_one(Database& database, WriteScope scope, std::vector<int> rows) {
  co_await database.write(std::move(scope), [&rows](Connection& connection) {
    std::vector<std::int64_t> seen;
    for (const int row : rows)
      seen.push_back(connection.query("SELECT value FROM t WHERE id = $1", {row})[0].get<std::int64_t>(0));
    for (std::size_t i = 0; i < rows.size(); ++i)
      connection.execute("UPDATE t SET value = $1 WHERE id = $2", {seen[i] + 1, rows[i]});
  });
}

Task<std::int64_t> total(Database& database) {
  co_return co_await database.read([](Connection& connection) {
    return connection.query("SELECT CAST(SUM(value) AS BIGINT) FROM t")[0].get<std::int64_t>(0);
  });
}

// The writes of one server: in one scope, in two in whatever order they are named, and in all.
Task<void> write_at_random(Database& database, unsigned seed, int count, std::atomic<int>& added) {
  std::mt19937 random(seed);
  const auto choose = [&random](int below) {
    return std::uniform_int_distribution<int>(0, below - 1)(random);
  };
  constexpr int scopes = 6;
  for (int i = 0; i < count; ++i) {
    std::vector<int> rows{choose(scopes)};
    WriteScope scope = scope_of(rows[0]);
    const int kind = choose(20);
    if (kind == 0) {
      scope = WriteScope::everyone();
      rows = {5, 4, 3, 2, 1, 0};
    } else if (kind < 8) {
      const int second = choose(scopes);
      if (second != rows[0]) rows.push_back(second);
      scope |= scope_of(second);
    }
    added += static_cast<int>(rows.size());
    co_await add_one(database, std::move(scope), std::move(rows));
  }
}

TEST_P(Scopes, RandomWritesOfManyServersNeitherLoseNorBlockEachOther) {
  const auto a = start();
  const auto b = start();
  const auto c = start();
  run([](Database& first, Database& second, Database& third) -> Task<void> {
    std::atomic<int> added{0};
    async::Scope tasks(co_await boost::asio::this_coro::executor);
    std::vector<std::exception_ptr> failures;
    const auto note = [](Task<void> work, std::vector<std::exception_ptr>& failed) -> Task<void> {
      try {
        co_await std::move(work);
      } catch (...) {
        failed.push_back(std::current_exception());
      }
    };
    const unsigned first_seed = std::random_device()();
    unsigned seed = first_seed;
    for (Database* database : {&first, &second, &third})
      for (int caller = 0; caller < 8; ++caller)
        tasks.spawn("write", note(write_at_random(*database, seed++, 25, added), failures));
    co_await tasks.join();
    for (const std::exception_ptr& failure : failures) {
      try {
        std::rethrow_exception(failure);
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what() << "; seed " << first_seed;
      }
    }
    EXPECT_EQ(co_await total(first), added) << "seed " << first_seed;
  }(*a, *b, *c));
}

TEST_P(Scopes, WritesOfOneScopeHappenOneAfterTheOther) {
  const auto here = start();
  const auto there = start();
  run([](Database& a, Database& b) -> Task<void> {
    async::Scope tasks(co_await boost::asio::this_coro::executor);
    for (int i = 0; i < 60; ++i)
      tasks.spawn("write", add_one(i % 2 == 0 ? a : b, scope_of(0), {0}));
    co_await tasks.join();
    EXPECT_EQ(co_await total(a), 60);
  }(*here, *there));
}

INSTANTIATE_TEST_SUITE_P(Engines, Scopes, testing::ValuesIn(engines),
                         [](const auto& info) { return name_of(info.param); });

// SQLite has one writer, whatever it writes.
class ScopesOnPostgres : public Scopes {};

TEST_P(ScopesOnPostgres, WritesOfOthersGoOnMeanwhile) {
  const auto here = start();
  const auto there = start();
  run([](Database& a, Database& b) -> Task<void> {
    Signal begun;
    Signal ended;
    async::Scope tasks(co_await boost::asio::this_coro::executor);
    const auto hold = [](Database& database, Signal& in, Signal& out) -> Task<void> {
      co_await database.write(scope_of(1), [&](Connection& connection) {
        connection.execute("UPDATE t SET value = 1 WHERE id = 1");
        in.give();
        EXPECT_TRUE(out.wait()) << "the other server's write waits for this one";
      });
    };
    tasks.spawn("hold", hold(a, begun, ended));
    const auto other = [](Database& database, Signal& in, Signal& out) -> Task<void> {
      co_await database.write(scope_of(2), [&](Connection& connection) {
        EXPECT_TRUE(in.wait());
        connection.execute("UPDATE t SET value = 2 WHERE id = 2");
      });
      out.give();
    };
    tasks.spawn("other", other(b, begun, ended));
    co_await tasks.join();
    EXPECT_EQ(co_await total(a), 3);
  }(*here, *there));
}

TEST_P(ScopesOnPostgres, AGroupTakesMoreScopesWithoutWaiting) {
  const auto driver = place_.open(5s);
  const auto first = driver->connect(Access::write);
  const auto second = driver->connect(Access::write);
  first->begin(scope_of(1));
  first->query("SELECT 1");
  second->begin(scope_of(2));
  second->query("SELECT 1");
  EXPECT_TRUE(second->try_include(scope_of(2)));
  EXPECT_TRUE(second->try_include(scope_of(3)));
  EXPECT_FALSE(second->try_include(scope_of(1)));
  EXPECT_FALSE(second->try_include(WriteScope::everyone()));
  EXPECT_FALSE(first->try_include(scope_of(3)));
  second->execute("UPDATE t SET value = 1 WHERE id = 3");
  second->commit();
  EXPECT_TRUE(first->try_include(scope_of(3)));
  EXPECT_EQ(first->query("SELECT value FROM t WHERE id = 3")[0].get<int>(0), 1);
  first->commit();
  second->begin(WriteScope::everyone());
  second->query("SELECT 1");
  EXPECT_TRUE(second->try_include(scope_of(9)));
  second->commit();
}

INSTANTIATE_TEST_SUITE_P(Engines, ScopesOnPostgres, testing::Values(Engine::postgres),
                         [](const auto& info) { return name_of(info.param); });

}  // namespace
}  // namespace hearth::db
