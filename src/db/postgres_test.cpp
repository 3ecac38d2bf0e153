// What the driver for PostgreSQL promises beyond driver_test.cpp: lost connections, the watcher, URLs.
#include "db/postgres.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "base/api_error.hpp"
#include "db/database.hpp"
#include "db/postgres_connection.hpp"
#include "db/test_database.hpp"

namespace hearth::db {
namespace {

using namespace std::chrono_literals;

template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds time = 5s) {
  for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

class Postgres : public testing::Test {
 public:
  std::unique_ptr<Driver> open(std::chrono::milliseconds lock_timeout = 5s) {
    return database_.open(lock_timeout);
  }

  // Ends every connection to the test's database, as an operator or a crash would, and waits for the end of
  // these: the watcher's next one may be there already.
  void cut() const {
    const auto session = open_postgres({.url = postgres_server()})->connect(Access::write);
    const std::string url = database_.url();
    const std::string name = url.substr(url.rfind('/') + 1);
    std::string ended;
    for (const Row row : session->query(
             "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", {name})) {
      ended += fmt::format("{}{}", ended.empty() ? "" : " ", row.get<std::int64_t>(0));
    }
    EXPECT_TRUE(eventually([&] {
      return session
          ->query("SELECT 1 FROM pg_stat_activity WHERE CAST(pid AS TEXT) = ANY (string_to_array($1, ' '))",
                  {ended})
          .empty();
    }));
    std::this_thread::sleep_for(30ms);  // their sockets close a moment later
  }

 protected:
  void SetUp() override { HEARTH_SKIP_WITHOUT(Engine::postgres); }

  TestDatabase database_{Engine::postgres};
};

template <class Work>
std::optional<ErrorKind> kind_thrown_by(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error.kind();
  }
  return std::nullopt;
}

TEST_F(Postgres, AnIdleConnectionThatWasLostIsReplaced) {
  const auto driver = open();
  for (const Access access : {Access::write, Access::read}) {
    const auto session = driver->connect(access);
    session->begin();
    session->query("SELECT 1");
    session->commit();
    cut();
    session->begin();
    EXPECT_EQ(session->query("SELECT 2")[0].get<int>(0), 2);
    session->commit();
  }
}

TEST_F(Postgres, AConnectionLostInATransactionFailsIt) {
  const auto driver = open();
  const auto session = driver->connect(Access::write);
  session->execute_script("CREATE TABLE t (id TEXT)");
  session->begin();
  session->execute("INSERT INTO t (id) VALUES ('lost')");
  cut();
  EXPECT_EQ(kind_thrown_by([&] { session->execute("INSERT INTO t (id) VALUES ('more')"); }),
            ErrorKind::unavailable);
  EXPECT_FALSE(session->in_transaction());
  EXPECT_TRUE(kind_thrown_by([&] { session->commit(); }).has_value());
  EXPECT_FALSE(session->rollback());
  const auto next = driver->connect(Access::write);
  EXPECT_TRUE(next->query("SELECT id FROM t").empty());
  next->begin();
  next->execute("INSERT INTO t (id) VALUES ('lost')");
  cut();
  EXPECT_EQ(kind_thrown_by([&] { next->commit(); }), ErrorKind::unavailable);
}

Task<int> status_of(Task<void> task) {
  try {
    co_await std::move(task);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.code(), "storage_unavailable");
    co_return error.status();
  }
  co_return 0;
}

TEST_F(Postgres, TheDatabaseComesBackByItself) {
  async::Runtime runtime(1);
  open()->connect(Access::write)->execute_script("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY)");
  Database database(open(), {});
  runtime.run_until_complete([](Database& db, Postgres& test) -> Task<void> {
    const auto insert = [](Database& target, int id, bool* cut, Postgres* fixture) -> Task<void> {
      co_await target.write(WriteScope::everyone(), [id, cut, fixture](Connection& connection) {
        connection.execute("INSERT INTO t (id) VALUES ($1)", {id});
        if (cut != nullptr) {
          fixture->cut();
          *cut = true;
        }
      });
    };
    bool cut = false;
    EXPECT_EQ(co_await status_of(insert(db, 1, nullptr, nullptr)), 0);
    EXPECT_EQ(co_await status_of(insert(db, 2, &cut, &test)), 503);
    EXPECT_TRUE(cut);
    EXPECT_EQ(co_await status_of(insert(db, 3, nullptr, nullptr)), 0);
    const auto count = co_await db.read([](Connection& connection) {
      return connection.query("SELECT COUNT(*) FROM t WHERE id IN (1, 3)")[0].get<int>(0);
    });
    EXPECT_EQ(count, 2);
  }(database, *this));
}

TEST_F(Postgres, AWorkThatGoesOnAfterAFailureFailsAlone) {
  async::Runtime runtime(1);
  open()->connect(Access::write)->execute_script("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY)");
  Database database(open(), {});
  runtime.run_until_complete([](Database& db) -> Task<void> {
    co_await db.write(WriteScope::everyone(),
                      [](Connection& connection) { connection.execute("INSERT INTO t (id) VALUES (1)"); });
    bool failed = false;
    try {
      co_await db.write(WriteScope::everyone(), [](Connection& connection) {
        try {
          connection.execute("INSERT INTO t (id) VALUES (1)");
        } catch (const Error&) {
        }
      });
    } catch (const Error& error) {
      failed = error.kind() == ErrorKind::statement;
    }
    EXPECT_TRUE(failed);
    co_await db.write(WriteScope::everyone(),
                      [](Connection& connection) { connection.execute("INSERT INTO t (id) VALUES (2)"); });
  }(database));
}

TEST_F(Postgres, TokensOfTwoServersFollowEachOther) {
  const auto here = open();
  const auto there = open();
  const auto settled = [](Driver& driver) { return driver.change_token() == driver.change_token(); };
  ASSERT_TRUE(eventually([&] { return settled(*here) && settled(*there); }));
  const auto session = here->connect(Access::write);
  session->execute_script("CREATE TABLE t (id TEXT)");
  const auto write = [&](Session& writer) {
    writer.begin();
    writer.execute("INSERT INTO t (id) VALUES ('x')");
    writer.commit();
  };
  auto seen = there->change_token();
  write(*session);
  EXPECT_TRUE(eventually([&] { return there->change_token() != seen; }, 1s));
  // Nothing is announced when nothing has changed.
  std::this_thread::sleep_for(50ms);
  seen = there->change_token();
  session->begin();
  session->execute("UPDATE t SET id = 'y' WHERE id = 'none'");
  session->query("SELECT id FROM t");
  session->commit();
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(there->change_token(), seen);
  // Without the watcher no token is believed; afterwards it follows again.
  cut();
  EXPECT_TRUE(eventually([&] { return there->change_token() != seen; }, 1s));
  ASSERT_TRUE(eventually([&] { return settled(*here) && settled(*there); }));
  seen = there->change_token();
  write(*here->connect(Access::write));
  EXPECT_TRUE(eventually([&] { return there->change_token() != seen; }, 1s));
}

TEST_F(Postgres, OneWriterAtATime) {
  const auto driver = open(100ms);
  const auto first = driver->connect(Access::write);
  const auto second = driver->connect(Access::write);
  first->execute_script("CREATE TABLE t (id TEXT)");
  first->begin();
  first->query("SELECT 1");
  second->begin();
  second->set_savepoint();
  EXPECT_EQ(kind_thrown_by([&] { second->execute("INSERT INTO t (id) VALUES ('x')"); }), ErrorKind::busy);
  EXPECT_FALSE(second->in_transaction());
  EXPECT_TRUE(second->rollback());
  first->commit();
  second->begin();
  second->execute("INSERT INTO t (id) VALUES ('x')");
  second->commit();
  EXPECT_EQ(first->query("SELECT id FROM t").size(), 1u);
}

TEST_F(Postgres, LargeTextsPassBothWays) {
  const auto session = open()->connect(Access::write);
  session->execute_script("CREATE TABLE t (s TEXT)");
  const std::string text(20'000'000, 'x');
  session->execute("INSERT INTO t (s) VALUES ($1)", {text});
  EXPECT_TRUE(session->query("SELECT s FROM t")[0].get<std::string>(0) == text);
}

TEST_F(Postgres, SaysWhyItCannotConnectWithoutThePassword) {
  const auto reason_of = [](const std::string& url) -> std::string {
    try {
      open_postgres({.url = url})->connect(Access::read);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::unavailable);
      return error.what();
    }
    return {};
  };
  const std::string good = database_.url();
  const std::size_t at = good.find('@');
  const std::string place = good.substr(at);
  const std::string wrong = reason_of("postgresql://hearth:open-sesame" + place);
  EXPECT_NE(wrong.find("password authentication failed"), std::string::npos) << wrong;
  const std::vector<std::string> urls{"postgresql://hearth:open-sesame" + place,
                                      "postgresql://hearth:open-sesame@127.0.0.1:1/x",
                                      "postgresql://hearth:x/open-sesame" + place,
                                      "postgresql://hearth:x@open-sesame" + place,
                                      "postgresql://hearth:x:open-sesame" + place,
                                      "postgresql://hearth:open-sesame%zz" + place,
                                      "postgresql://hearth:x?open-sesame" + place,
                                      good + "?open-sesame",
                                      good + "?password=open-sesame"};
  for (const std::string& url : urls) {
    const std::string reason = reason_of(url);
    EXPECT_FALSE(reason.empty()) << url;
    EXPECT_EQ(reason.find("open-sesame"), std::string::npos) << reason;
  }
}

TEST_F(Postgres, DoesNotQueueForAServerThatIsAway) {
  const auto driver = open_postgres({.url = "postgresql://hearth@127.0.0.1:1/x"});
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(kind_thrown_by([&] { driver->connect(Access::read); }), ErrorKind::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - started, 2s);
  EXPECT_NE(driver->change_token(), driver->change_token());
}

TEST_F(Postgres, KnowsWhoElseIsThere) {
  EXPECT_FALSE(is_open_elsewhere(PostgresOptions{.url = database_.url()}));
  const auto session = open()->connect(Access::read);
  EXPECT_TRUE(is_open_elsewhere(PostgresOptions{.url = database_.url()}));
}

TEST_F(Postgres, AConnectionFromAnotherClientCountsWithItsNameOnly) {
  const auto session =
      open_postgres({.url = database_.url() + "?application_name=psql"})->connect(Access::read);
  EXPECT_FALSE(is_open_elsewhere(PostgresOptions{.url = database_.url()}));
}

TEST(PostgresErrors, StatesAreSortedByWhatTheCallerCanDo) {
  EXPECT_EQ(kind_of_state("23505"), ErrorKind::constraint);
  EXPECT_EQ(kind_of_state("40001"), ErrorKind::busy);
  EXPECT_EQ(kind_of_state("40P01"), ErrorKind::busy);
  EXPECT_EQ(kind_of_state("55P03"), ErrorKind::busy);
  for (const char* state : {"08006", "53100", "53300", "57P01", "57014", "58030", "XX001", "25P03", ""})
    EXPECT_EQ(kind_of_state(state), ErrorKind::unavailable) << state;
  for (const char* state : {"42601", "42P01", "08P01", "22003", "25P02"})
    EXPECT_EQ(kind_of_state(state), ErrorKind::statement) << state;
}

TEST(PostgresUrl, IsCheckedBeforeItIsUsed) {
  EXPECT_FALSE(find_url_fault("postgresql://u:p@h:5432/d?sslmode=verify-full"));
  EXPECT_FALSE(find_url_fault("postgres:///d?host=/run/postgresql"));
  EXPECT_FALSE(find_url_fault("postgresql://a,b/d?target_session_attrs=read-write"));
  for (const char* url :
       {"mysql://h/d", "", "postgresql://u:p/q@h/d", "postgresql://h:x/d", "postgresql://h/d?nonsense=1"})
    EXPECT_TRUE(find_url_fault(url)) << url;
}

}  // namespace
}  // namespace hearth::db
