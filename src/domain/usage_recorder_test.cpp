#include "domain/usage_recorder.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "base/api_error.hpp"
#include "db/sqlite.hpp"
#include "db/test_directory.hpp"
#include "domain/spend_limits.hpp"
#include "store/access_epoch.hpp"
#include "store/schema.hpp"

namespace hearth::domain {
namespace {

using namespace std::chrono_literals;

TEST(Costs, PriceCachedAndAudioTokensApart) {
  contract::Used used{.model = "m",
                      .input_tokens = 1'000,
                      .cached_tokens = 400,
                      .output_tokens = 300,
                      .input_audio_tokens = 100,
                      .output_audio_tokens = 50};
  used.prices = {.input = 2, .cached_input = 0.5, .output = 8, .audio_input = 40, .audio_output = 80};
  const auto shown = [](const std::vector<LineItem>& items) {
    std::string text;
    for (const LineItem& item : items)
      text += item.name + " " + std::to_string(item.amount) + "; ";
    return text;
  };
  EXPECT_EQ(shown(costs_of(used, {})),
            "m, input 1000000; m, cached input 200000; m, audio input 4000000; m, output 2000000; m, audio "
            "output 4000000; ");
  used.delivery = contract::Delivery::batch;
  used.prices = {.input = 2};
  EXPECT_EQ(shown(costs_of(used, {.batch_discount = 0.25})),
            "m, input, batch 750000; m, cached input, batch 600000; m, audio input, batch 150000; ");
  contract::Used others{.model = "n", .images = 3, .characters = 500'000, .seconds = 90};
  EXPECT_EQ(shown(costs_of(others, {})), "") << "nothing has a price";
  others.prices = {.image = 0.04, .characters = 15, .minute = 0.006};
  EXPECT_EQ(shown(costs_of(others, {})), "n, images 120000000; n, characters 7500000000; n, audio 9000000; ");
}

TEST(SpendLedger, KnowsWhatIsStillToBeWritten) {
  SpendLedger ledger;
  const ProjectId project("proj_a");
  EXPECT_FALSE(ledger.spent(project, 0).has_value());
  ledger.added(project, 0, 5);
  EXPECT_FALSE(ledger.spent(project, 0).has_value()) << "nobody knows what is stored";
  EXPECT_TRUE(ledger.read(project, 0, ledger.begin_reading(project, 0), 100, {}));
  EXPECT_EQ(ledger.spent(project, 0)->amount, 105);
  ledger.writing(project, 0);
  ledger.added(project, 0, 7);
  EXPECT_EQ(ledger.spent(project, 0)->amount, 112);
  ledger.written(project, 0, 5, 150, {});  // another replica has added 45
  EXPECT_EQ(ledger.spent(project, 0)->amount, 157);
  ledger.writing(project, 0);
  EXPECT_EQ(ledger.spent(project, 0)->amount, 157);
  ledger.added(project, 0, 1);
  EXPECT_FALSE(ledger.read(project, 0, ledger.begin_reading(project, 0), 157, {})) << "while nobody knows";
  EXPECT_EQ(ledger.spent(project, 0)->amount, 158) << "nothing counts twice";
  ledger.written(project, 0, 7, 157, {});
  EXPECT_EQ(ledger.spent(project, 0)->amount, 158);
}

TEST(SpendLedger, DropsAReadingThatAWriteCrossed) {
  SpendLedger ledger;
  const ProjectId project("proj_a");
  ledger.added(project, 0, 5);
  const auto before = ledger.begin_reading(project, 0);
  ledger.writing(project, 0);
  EXPECT_FALSE(ledger.read(project, 0, before, 5, {})) << "the write may or may not be in it";
  EXPECT_FALSE(ledger.read(project, 0, ledger.begin_reading(project, 0), 5, {}));
  ledger.written(project, 0, 5, 5, {});
  EXPECT_FALSE(ledger.read(project, 0, before, 0, {}));
  EXPECT_EQ(ledger.spent(project, 0)->amount, 5);
}

// Commits, and then loses the answer when it is told to.
class ForgetfulSession final : public db::Session {
 public:
  ForgetfulSession(std::unique_ptr<db::Session> session, std::atomic<bool>& forget)
      : session_(std::move(session)), forget_(forget) {}

  void begin(const db::WriteScope& scope) override { session_->begin(scope); }
  bool try_include(const db::WriteScope& scope) override { return session_->try_include(scope); }
  void commit() override {
    session_->commit();
    if (forget_.exchange(false)) throw db::Error(db::ErrorKind::unavailable, "the connection broke");
  }
  bool rollback() noexcept override { return session_->rollback(); }
  bool in_transaction() const override { return session_->in_transaction(); }
  void set_savepoint() override { session_->set_savepoint(); }
  void release_savepoint() override { session_->release_savepoint(); }
  void rollback_to_savepoint() override { session_->rollback_to_savepoint(); }
  void execute_script(std::string_view sql) override { session_->execute_script(sql); }
  std::vector<db::Table> list_tables() override { return session_->list_tables(); }

 protected:
  db::Rows run_query(std::string_view sql, std::span<const db::Param> params) override {
    return session_->query(sql, params);
  }
  std::int64_t run_execute(std::string_view sql, std::span<const db::Param> params) override {
    return session_->execute(sql, params);
  }

 private:
  std::unique_ptr<db::Session> session_;
  std::atomic<bool>& forget_;
};

class ForgetfulDriver final : public db::Driver {
 public:
  ForgetfulDriver(std::unique_ptr<db::Driver> driver, std::atomic<bool>& forget)
      : driver_(std::move(driver)), forget_(forget) {}

  std::unique_ptr<db::Session> connect(db::Access access) override {
    auto session = driver_->connect(access);
    if (access == db::Access::read) return session;
    return std::make_unique<ForgetfulSession>(std::move(session), forget_);
  }
  std::uint64_t change_token() override { return driver_->change_token(); }
  bool is_one_commit(std::uint64_t before, std::uint64_t after) const override {
    return driver_->is_one_commit(before, after);
  }

 private:
  std::unique_ptr<db::Driver> driver_;
  std::atomic<bool>& forget_;
};

class Recording : public testing::Test {
 protected:
  void SetUp() override {
    wait(database_->write(db::WriteScope::everyone(), [this](db::Connection& connection) {
      connection.execute("INSERT INTO organizations (id, name, created_at) VALUES ($1, 'x', 1)",
                         {tenant_.organization});
      connection.execute(
          "INSERT INTO projects (id, organization_id, name, status, is_default, created_at) VALUES ($1, $2, "
          "'x', 'active', 0, 1)",
          {tenant_.project, tenant_.organization});
    }));
  }

  template <class T>
  T wait(Task<T> task) {
    std::optional<T> result;
    runtime_.run_until_complete([](Task<T> one, std::optional<T>& out) -> Task<void> {
      out = co_await std::move(one);
    }(std::move(task), result));
    return std::move(*result);
  }
  void wait(Task<void> task) { runtime_.run_until_complete(std::move(task)); }

  UsageEvent event(std::int64_t tokens, Money cost = 0) {
    UsageEvent made{.series = {.tenant = tenant_, .model = "m"},
                    .counts = {.requests = 1, .input_tokens = tokens}};
    if (cost > 0) made.costs.push_back({"m, input", cost});
    return made;
  }
  store::UsageCounts stored(store::UsageWidth width = store::UsageWidth::day) {
    const UnixSeconds step = store::seconds_of(width);
    const UnixSeconds start = clock_.unix_now() / step * step;
    store::UsageCounts sum;
    for (const auto& row :
         wait(
             usage_.query(
                 {.organization = tenant_.organization, .width = width, .start = start, .end = start + step}))
             .rows)
      sum += row.counts;
    return sum;
  }
  SpendLimits limits(std::optional<Money> standard) {
    return {budgets_, *database_, recorder_.ledger(), clock_, {standard, "eur"}};
  }
  // "" when let in, else the error's code.
  std::string check(SpendLimits& limits) {
    std::string code;
    wait([](SpendLimits& l, store::AccessEpoch& epoch, const store::Tenant& tenant,
            std::string& out) -> Task<void> {
      try {
        co_await l.check(tenant, co_await epoch.current());
      } catch (const ApiError& error) {
        EXPECT_EQ(error.status(), 429);
        EXPECT_FALSE(error.retry_after().has_value());
        EXPECT_NE(error.message().find("eur"), std::string::npos) << error.message();
        out = error.code().value_or("none");
      }
    }(limits, epoch_, tenant_, code));
    return code;
  }

  const store::Tenant tenant_{OrganizationId("org-1"), ProjectId("proj_1")};
  db::TestDirectory directory_;
  FakeClock clock_;
  async::Runtime runtime_{1};
  std::atomic<bool> forget_{false};  // the answer to the next commit
  std::unique_ptr<db::Database> database_ = store::open_database(
      std::make_unique<ForgetfulDriver>(db::open_sqlite({.file = directory_.path() / "hearth.db"}), forget_));
  store::AccessEpoch epoch_{*database_};
  store::Usage usage_{*database_};
  store::Budgets budgets_{*database_};
  IdSource ids_{clock_};
  UsageRecorder recorder_{usage_, clock_, ids_};
};

TEST_F(Recording, AddsUpAndWritesOnce) {
  for (int i = 0; i < 100; ++i)
    recorder_.record(event(3));
  const auto before = database_->counters().writes;
  wait(recorder_.flush());
  EXPECT_EQ(database_->counters().writes, before + 1);
  EXPECT_EQ(stored().requests, 100);
  EXPECT_EQ(stored().input_tokens, 300);
  wait(recorder_.flush());
  EXPECT_EQ(database_->counters().writes, before + 1) << "nothing recorded, nothing written";
}

TEST_F(Recording, CountsAsOfTheRequestsEnd) {
  recorder_.record(event(1));
  clock_.advance(1min);
  recorder_.record(event(2));
  wait(recorder_.flush());
  EXPECT_EQ(stored(store::UsageWidth::minute).input_tokens, 2);
  EXPECT_EQ(stored(store::UsageWidth::hour).input_tokens, 3);
}

TEST_F(Recording, FromManyThreadsLosesNothing) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int n = 0; n < 2'000; ++n)
        recorder_.record(event(1, 2));
    });
  }
  for (int i = 0; i < 20; ++i)
    wait(recorder_.flush());
  threads.clear();
  wait(recorder_.flush());
  EXPECT_EQ(stored().requests, 8'000);
  const UnixSeconds month = store::month_of(clock_.unix_now());
  EXPECT_EQ(wait(budgets_.spent(tenant_, month)), 16'000);
  EXPECT_EQ(recorder_.ledger().spent(tenant_.project, month)->amount, 16'000);
}

TEST_F(Recording, AWriteWhoseAnswerIsLostCountsOnce) {
  const UnixSeconds month = store::month_of(clock_.unix_now());
  EXPECT_TRUE(recorder_.ledger().read(tenant_.project, month,
                                      recorder_.ledger().begin_reading(tenant_.project, month), 0, {}));
  recorder_.record(event(5, 7));
  forget_ = true;
  EXPECT_THROW(wait(recorder_.flush()), std::exception);
  EXPECT_FALSE(forget_);
  EXPECT_EQ(stored().input_tokens, 5) << "it is written";
  recorder_.record(event(6, 8));  // of the same series: not part of what is tried again
  SpendLimits limited = limits(16);
  EXPECT_EQ(check(limited), "") << "15 are spent, though the row holds 7 of them already";
  EXPECT_EQ(recorder_.ledger().spent(tenant_.project, month)->amount, 15);
  wait(recorder_.flush());
  EXPECT_EQ(stored().requests, 2);
  EXPECT_EQ(stored().input_tokens, 11);
  EXPECT_EQ(wait(budgets_.spent(tenant_, month)), 15);
  EXPECT_EQ(recorder_.ledger().spent(tenant_.project, month)->amount, 15);
  forget_ = true;
  recorder_.record(event(1, 1));
  EXPECT_THROW(wait(recorder_.flush()), std::exception);
  wait(recorder_.flush());
  EXPECT_EQ(stored().requests, 3) << "nothing newer has to come";
  EXPECT_EQ(check(limited), "insufficient_quota");
}

TEST_F(Recording, WhatCouldNotBeWrittenIsWrittenLater) {
  recorder_.record(event(5, 7));
  wait(database_->write(db::WriteScope::everyone(), [](db::Connection& connection) {
    connection.execute("ALTER TABLE project_spending RENAME TO hidden");
  }));
  EXPECT_THROW(wait(recorder_.flush()), std::exception);
  recorder_.record(event(6, 8));
  wait(database_->write(db::WriteScope::everyone(), [](db::Connection& connection) {
    connection.execute("ALTER TABLE hidden RENAME TO project_spending");
  }));
  wait(recorder_.flush());
  EXPECT_EQ(stored().requests, 2);
  EXPECT_EQ(stored().input_tokens, 11);
  const UnixSeconds month = store::month_of(clock_.unix_now());
  EXPECT_EQ(wait(budgets_.spent(tenant_, month)), 15);
  EXPECT_EQ(recorder_.ledger().spent(tenant_.project, month)->amount, 15);
}

TEST_F(Recording, ABudgetEndsWhenItIsSpentWrittenOrNot) {
  SpendLimits limited = limits(100);
  EXPECT_EQ(check(limited), "");
  recorder_.record(event(1, 99));
  EXPECT_EQ(check(limited), "");
  recorder_.record(event(1, 1));
  EXPECT_EQ(check(limited), "insufficient_quota") << "before anything is written";
  wait(recorder_.flush());
  EXPECT_EQ(check(limited), "insufficient_quota");
  SpendLimits fresh = limits(100);
  EXPECT_EQ(check(fresh), "insufficient_quota") << "after a restart";
}

TEST_F(Recording, ABudgetBeginsAnewWithTheMonth) {
  SpendLimits limited = limits(100);
  recorder_.record(event(1, 100));
  wait(recorder_.flush());
  EXPECT_EQ(check(limited), "insufficient_quota");
  clock_.advance(72h);  // from the 29th of April
  EXPECT_EQ(check(limited), "");
}

TEST_F(Recording, AProjectsOwnBudgetHoldsAtOnce) {
  SpendLimits limited = limits(std::nullopt);
  recorder_.record(event(1, 100));
  EXPECT_EQ(check(limited), "") << "no budget";
  wait(budgets_.set(tenant_, {100}, clock_));
  EXPECT_EQ(check(limited), "insufficient_quota");
  wait(budgets_.set(tenant_, {101}, clock_));
  EXPECT_EQ(check(limited), "");
  wait(budgets_.set(tenant_, {0}, clock_));
  EXPECT_EQ(check(limited), "insufficient_quota") << "nothing may be spent";
  SpendLimits strict = limits(50);
  wait(budgets_.set(tenant_, {}, clock_));
  EXPECT_EQ(check(strict), "") << "no end, whatever the default";
  wait(budgets_.reset(tenant_));
  EXPECT_EQ(check(strict), "insufficient_quota");
}

TEST_F(Recording, WhatAnotherReplicaSpendsCountsSoon) {
  SpendLimits limited = limits(100);
  EXPECT_EQ(check(limited), "");
  const auto other = store::open_database(db::open_sqlite({.file = directory_.path() / "hearth.db"}));
  store::Usage usage(*other);
  UsageRecorder recorder(usage, clock_, ids_);
  recorder.record(event(1, 100));
  wait(recorder.flush());
  clock_.advance(300ms);
  EXPECT_EQ(check(limited), "insufficient_quota");
}

}  // namespace
}  // namespace hearth::domain
