// What every ledger promises, against a simple model: lists of what was counted when, summed anew each time.
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <future>
#include <map>
#include <random>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "async/deadline.hpp"
#include "async/runtime.hpp"
#include "domain/limits/local_ledger.hpp"
#include "domain/limits/redis_ledger.hpp"
#include "net/redis_client.hpp"

namespace hearth::domain {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds lifetime = 90s;

// One of `ledgers` at the end of this file. `make` returns nullptr where it cannot run.
struct LedgerCase {
  const char* name;
  std::function<std::unique_ptr<LimitLedger>(const Clock&, std::chrono::milliseconds)> make;
};

std::int64_t ms(const Clock& clock) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock.steady_now().time_since_epoch()).count();
}

std::int64_t up(std::int64_t time, std::int64_t step) {
  return (time + step - 1) / step * step;
}

// The rules of ledger.hpp, as slowly as they read.
class Model {
 public:
  struct Sums {
    Amounts minute;
    std::int64_t day = 0;
  };

  Sums sums(std::int64_t now) {
    expire(now);
    Sums sums;
    for (const auto& [id, entry] : reserved_) {
      if (up(entry.at, 10) + 60'000 > now) {
        sums.minute.requests += entry.amounts.requests;
        sums.minute.images += entry.amounts.images;
        sums.minute.audio_bytes += entry.amounts.audio_bytes;
      }
      if (up(entry.at, 60'000) + 86'400'000 > now) sums.day += entry.amounts.requests;
      if (entry.held) sums.minute.tokens += entry.amounts.tokens;
    }
    for (const auto& [at, tokens] : settled_) {
      if (up(at, 10) + 60'000 > now) sums.minute.tokens += tokens;
    }
    return sums;
  }

  bool fits(std::int64_t now, const Limits& limits, const Amounts& amounts) {
    const Sums used = sums(now);
    const auto one = [](std::int64_t before, std::int64_t asked, std::int64_t limit) {
      return asked == 0 || before + asked <= limit;
    };
    return one(used.minute.requests, amounts.requests, limits.requests) &&
           one(used.minute.tokens, amounts.tokens, limits.tokens) &&
           one(used.minute.images, amounts.images, limits.images) &&
           one(used.minute.audio_bytes, amounts.audio_bytes, limits.audio_bytes) &&
           one(used.day, amounts.requests, limits.requests_per_day);
  }

  void reserve(std::int64_t now, int id, const Amounts& amounts) { reserved_[id] = {now, amounts, true}; }

  void settle(std::int64_t now, int id, const Outcome& outcome) {
    expire(now);
    Entry& entry = reserved_.at(id);
    if (entry.held && outcome.reached_engine) settled_.emplace_back(now, outcome.tokens);
    entry.held = false;
    if (!outcome.reached_engine) reserved_.erase(id);
  }

  bool holds(std::int64_t now) {
    expire(now);
    return std::ranges::any_of(reserved_, [](const auto& item) { return item.second.held; });
  }

  // Never more than that many were let in within any 60 seconds, by the exact times.
  std::int64_t most_in_a_minute() const {
    std::vector<std::int64_t> times;
    for (const auto& [id, entry] : reserved_)
      times.push_back(entry.at);
    std::ranges::sort(times);
    std::int64_t most = 0;
    for (std::size_t first = 0, last = 0; last < times.size(); ++last) {
      while (times[last] - times[first] >= 60'000)
        ++first;
      most = std::max(most, static_cast<std::int64_t>(last - first + 1));
    }
    return most;
  }

 private:
  struct Entry {
    std::int64_t at;
    Amounts amounts;
    bool held;
  };

  void expire(std::int64_t now) {
    for (auto& [id, entry] : reserved_) {
      if (!entry.held || entry.at + lifetime.count() > now) continue;
      entry.held = false;
      settled_.emplace_back(entry.at + lifetime.count(), entry.amounts.tokens);
    }
  }

  std::map<int, Entry> reserved_;
  std::vector<std::pair<std::int64_t, std::int64_t>> settled_;
};

class Ledger : public testing::TestWithParam<LedgerCase> {
 protected:
  void SetUp() override {
    ledger_ = GetParam().make(clock_, lifetime);
    if (!ledger_) GTEST_SKIP() << "it cannot run here";
  }

  Decision reserve(const Limits& limits, const Amounts& amounts, const std::string& key = "p/m") {
    Decision decision;
    runtime_.run_until_complete([](LimitLedger& ledger, const std::string& k, const Limits& l,
                                   const Amounts& a, Decision& out) -> Task<void> {
      out = co_await ledger.reserve(k, l, a);
    }(*ledger_, key, limits, amounts, decision));
    return decision;
  }

  FakeClock clock_;
  async::Runtime runtime_{1};
  std::unique_ptr<LimitLedger> ledger_;
};

TEST_P(Ledger, DoesWhatTheModelSays) {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::int64_t end) {
      return std::uniform_int_distribution<std::int64_t>(0, end - 1)(random);
    };
    const std::string key = "property/" + std::to_string(seed);
    Limits limits;
    limits.requests = 1 + below(12);
    if (seed % 2 == 0) limits.tokens = 100 + below(400);
    if (seed % 3 == 0) limits.images = 1 + below(8);
    if (seed % 3 == 1) limits.audio_bytes = 1000 + below(5000);
    if (seed % 4 == 0) limits.requests_per_day = 20 + below(30);
    Model model;
    std::map<int, Ticket> open;
    int last_id = 0;
    int granted = 0;
    int refused = 0;
    for (int step = 0; step < 500; ++step) {
      const std::int64_t dice = below(100);
      if (dice < 55) {
        const Amounts amounts{
            .requests = 1, .tokens = below(90), .images = below(3), .audio_bytes = below(800)};
        const std::int64_t now = ms(clock_);
        const bool fits = model.fits(now, limits, amounts);
        const Model::Sums before = model.sums(now);
        Decision decision = reserve(limits, amounts, key);
        ASSERT_EQ(!decision.refusal.has_value(), fits) << "seed " << seed << ", step " << step;
        if (fits) {
          ++granted;
          model.reserve(now, ++last_id, amounts);
          open.emplace(last_id, std::move(decision.ticket));
        } else {
          ++refused;
          const Refusal& refusal = *decision.refusal;
          if (refusal.kind == LimitKind::requests) ASSERT_EQ(refusal.used, before.minute.requests);
          if (refusal.kind == LimitKind::requests_per_day) ASSERT_EQ(refusal.used, before.day);
          if (refusal.kind == LimitKind::tokens) ASSERT_EQ(refusal.used, before.minute.tokens);
          if (refusal.kind == LimitKind::images) ASSERT_EQ(refusal.used, before.minute.images);
          if (refusal.kind == LimitKind::audio) ASSERT_EQ(refusal.used, before.minute.audio_bytes);
          if (refusal.retry_after && !model.holds(now)) {
            // What it says is exact: not a step before, and surely then.
            const std::int64_t then = now + refusal.retry_after->count();
            ASSERT_TRUE(model.fits(then, limits, amounts)) << "seed " << seed << ", step " << step;
            ASSERT_FALSE(model.fits(then - 1, limits, amounts)) << "seed " << seed << ", step " << step;
          }
        }
        const Model::Sums after = model.sums(now);
        ASSERT_EQ(decision.standings.requests.used, after.minute.requests);
        ASSERT_EQ(decision.standings.tokens.used, after.minute.tokens);
        if (limits.requests_per_day != unlimited) {
          ASSERT_EQ(decision.standings.requests_per_day.used, after.day);
        }
      } else if (dice < 75 && !open.empty()) {
        const auto chosen = std::next(open.begin(), below(static_cast<std::int64_t>(open.size())));
        const Outcome outcome{.reached_engine = below(4) != 0, .tokens = below(120)};
        model.settle(ms(clock_), chosen->first, outcome);
        ledger_->settle(std::move(chosen->second), outcome);
        open.erase(chosen);
      } else if (dice < 97) {
        clock_.advance(std::chrono::milliseconds(below(9'000)));
      } else if (dice < 99) {
        clock_.advance(std::chrono::milliseconds(60'000 + below(60'000)));
      } else {
        clock_.advance(std::chrono::milliseconds(below(9'000'000)));
      }
    }
    EXPECT_GT(granted, 15) << "seed " << seed;
    EXPECT_GT(refused, 20) << "seed " << seed;
    EXPECT_LE(model.most_in_a_minute(), limits.requests) << "seed " << seed;
  }
}

TEST_P(Ledger, KeysDoNotDisturbEachOther) {
  Limits limits;
  limits.requests = 1;
  EXPECT_FALSE(reserve(limits, {.requests = 1}, "p/a").refusal);
  EXPECT_TRUE(reserve(limits, {.requests = 1}, "p/a").refusal);
  EXPECT_FALSE(reserve(limits, {.requests = 1}, "p/b").refusal);
  EXPECT_FALSE(reserve(limits, {.requests = 1}, "q/a").refusal);
}

TEST_P(Ledger, ARefusalConsumesNothing) {
  Limits limits;
  limits.requests = 2;
  limits.tokens = 100;
  EXPECT_FALSE(reserve(limits, {.requests = 1, .tokens = 60}).refusal);
  const auto refusal = reserve(limits, {.requests = 1, .tokens = 60}).refusal;
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->kind, LimitKind::tokens);
  EXPECT_FALSE(reserve(limits, {.requests = 1, .tokens = 40}).refusal) << "the request was not counted";
}

TEST_P(Ledger, WhatIsLargerThanTheLimitHasNoTimeToComeAgain) {
  Limits limits;
  limits.tokens = 100;
  const auto refusal = reserve(limits, {.requests = 1, .tokens = 101}).refusal;
  ASSERT_TRUE(refusal);
  EXPECT_FALSE(refusal->retry_after);
  limits.requests = 0;
  const auto none = reserve(limits, {.requests = 1, .tokens = 1}).refusal;
  ASSERT_TRUE(none);
  EXPECT_EQ(none->kind, LimitKind::requests);
  EXPECT_FALSE(none->retry_after);
}

TEST_P(Ledger, ALateSettlementFindsNobodyElsesReservation) {
  Limits limits;
  limits.tokens = 100;
  Decision first = reserve(limits, {.requests = 1, .tokens = 50});
  clock_.advance(lifetime + 24h);
  Decision second = reserve(limits, {.requests = 1, .tokens = 80});
  ledger_->settle(std::move(first.ticket), {.reached_engine = true, .tokens = 1});
  EXPECT_EQ(reserve(limits, {.requests = 1, .tokens = 1}).standings.tokens.used, 81);
}

TEST_P(Ledger, ALimitThatChangesHoldsAtOnce) {
  Limits limits;
  limits.requests = 1;
  EXPECT_FALSE(reserve(limits, {.requests = 1}).refusal);
  EXPECT_TRUE(reserve(limits, {.requests = 1}).refusal);
  limits.requests = 2;
  EXPECT_FALSE(reserve(limits, {.requests = 1}).refusal);
  limits.requests = 1;
  EXPECT_TRUE(reserve(limits, {.requests = 1}).refusal);
}

// From several threads at once: exactly the limit is let in.
TEST_P(Ledger, IsExactUnderConcurrency) {
  constexpr int tasks = 50;
  constexpr int each = 40;
  Limits limits;
  limits.requests = 1000;
  std::atomic<int> granted{0};
  async::Runtime runtime(4);
  runtime.start();
  std::atomic<int> ended{0};
  const auto work = [](LimitLedger& ledger, const Limits& l, std::atomic<int>& let_in,
                       std::atomic<int>& done) -> Task<void> {
    for (int i = 0; i < each; ++i) {
      Decision decision = co_await ledger.reserve("p/busy", l, {.requests = 1, .tokens = 1});
      if (decision.refusal) continue;
      ++let_in;
      ledger.settle(std::move(decision.ticket), {.reached_engine = true, .tokens = 1});
    }
    ++done;
  };
  for (int i = 0; i < tasks; ++i) {
    boost::asio::co_spawn(runtime.executor(static_cast<std::size_t>(i % 4)),
                          work(*ledger_, limits, granted, ended), [](const std::exception_ptr&) {});
  }
  runtime.run_until_complete([](std::atomic<int>& done) -> Task<void> {
    for (int i = 0; i < 30'000 && done < tasks; ++i)
      co_await async::sleep_for(1ms);
    EXPECT_TRUE(done == tasks);
  }(ended));
  EXPECT_EQ(granted, limits.requests);
}

// tests/run.py starts a server and names it.
class OnRedis final : public LimitLedger {
 public:
  static std::unique_ptr<LimitLedger> make(const Clock& clock, std::chrono::milliseconds time) {
    const char* url = std::getenv("HEARTH_REDIS");
    if (!url) return nullptr;
    return std::make_unique<OnRedis>(*net::RedisAddress::parse(url), clock, time);
  }

  OnRedis(net::RedisAddress address, const Clock& clock, std::chrono::milliseconds time)
      : redis_(runtime_.executor(1), std::move(address), {.reply = 10s}), ledger_(redis_, time, &clock) {
    runtime_.start();
    boost::asio::co_spawn(runtime_.executor(1), redis_.run(),
                          boost::asio::bind_cancellation_slot(
                              stop_.slot(), [this](const std::exception_ptr&) { ended_.set_value(); }));
    runtime_.run_until_complete([](net::RedisClient& redis) -> Task<void> {
      co_await redis.call({"FLUSHALL"});
      co_await redis.call({"SCRIPT", "FLUSH"});  // so that it has to be sent in full
    }(redis_));
  }
  ~OnRedis() override {
    boost::asio::post(runtime_.executor(1), [this] { stop_.emit(boost::asio::cancellation_type::terminal); });
    EXPECT_EQ(ended_.get_future().wait_for(30s), std::future_status::ready);
  }

  Task<Decision> reserve(std::string key, const Limits& limits, Amounts amounts) override {
    return ledger_.reserve(std::move(key), limits, amounts);
  }
  void settle(Ticket ticket, Outcome outcome) override { ledger_.settle(std::move(ticket), outcome); }

 private:
  async::Runtime runtime_{2};
  net::RedisClient redis_;
  RedisLedger ledger_;
  boost::asio::cancellation_signal stop_;
  std::promise<void> ended_;
};

INSTANTIATE_TEST_SUITE_P(Limits, Ledger,
                         testing::Values(LedgerCase{"local",
                                                    [](const Clock& clock, std::chrono::milliseconds time) {
                                                      return std::make_unique<LocalLedger>(clock, time);
                                                    }},
                                         LedgerCase{"redis", OnRedis::make}),
                         [](const auto& test) { return test.param.name; });

TEST(LocalLedger, ForgetsKeysThatAreIdle) {
  FakeClock clock;
  async::Runtime runtime(1);
  LocalLedger ledger(clock, lifetime);
  const auto fill = [](LocalLedger& l, std::string prefix, int count) -> Task<void> {
    for (int i = 0; i < count; ++i) {
      Decision decision =
          co_await l.reserve(prefix + std::to_string(i), Limits{}, {.requests = 1, .tokens = 1});
      l.settle(std::move(decision.ticket), {.reached_engine = true, .tokens = 1});
    }
  };
  runtime.run_until_complete(fill(ledger, "a", 1000));
  EXPECT_EQ(ledger.keys(), 1000U);
  clock.advance(61s);
  runtime.run_until_complete(fill(ledger, "b", 500));  // enough to come by every shard
  EXPECT_EQ(ledger.keys(), 500U);
}

}  // namespace
}  // namespace hearth::domain
