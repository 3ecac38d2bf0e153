#include "domain/metered_call.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <random>
#include <type_traits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "base/api_error.hpp"
#include "db/test_directory.hpp"
#include "domain/inference.hpp"
#include "engine/faulty_backend.hpp"
#include "store/access_epoch.hpp"
#include "store/schema.hpp"

namespace hearth::domain {
namespace {

using namespace std::chrono_literals;
using contract::Delivery;
using contract::Limited;
using contract::UsageKind;
using store::UsageCounts;
using store::UsageDimension;

// Engines hold references to what it owns.
static_assert(!std::is_move_constructible_v<MeteredCall> && !std::is_copy_constructible_v<MeteredCall>);

constexpr contract::Prices prices{.input = 1'000'000, .output = 2'000'000};  // 1 and 2 for a token

// A ledger that is away.
class AwayLedger final : public LimitLedger {
 public:
  Task<Decision> reserve(std::string, const Limits&, Amounts) override {
    throw LedgerAway("away");
    co_return Decision{};
  }
  void settle(Ticket, Outcome) override { ADD_FAILURE() << "nothing was reserved here"; }
};

class LeaseOn final : public engine::Lease {
 public:
  explicit LeaseOn(engine::Backend& backend) : backend_(backend) {}
  engine::Backend& backend() override { return backend_; }

 private:
  engine::Backend& backend_;
};

class Metered : public testing::Test {
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

  Payer payer() const { return {.tenant = tenant_, .key = KeyId("key_1"), .owner = "user-1"}; }
  Target target() const { return {snapshot_, snapshot_->find("alias", tenant_.project), "alias"}; }
  // Ten tokens of prompt, at most twenty of output.
  static Work work() { return {.limited = Limited::tokens, .tokens = {10, 20}}; }
  std::unique_ptr<MeteredCall> make(Work what, Payer who) {
    return std::make_unique<MeteredCall>(metering_, std::move(who), target(), what, "req_1",
                                         SteadyTime::max());
  }
  std::unique_ptr<MeteredCall> make() { return make(work(), payer()); }
  // Reserves; "" or "status code" of the refusal.
  std::string reserve(MeteredCall& call) {
    std::string refusal;
    wait([](MeteredCall& one, store::AccessEpoch& epoch, std::string& out) -> Task<void> {
      try {
        co_await one.reserve(co_await epoch.current());
      } catch (const ApiError& error) {
        out = fmt::format("{} {}", error.status(), error.code().value_or(""));
      }
    }(call, epoch_, refusal));
    return refusal;
  }
  std::unique_ptr<MeteredCall> reserved() {
    auto call = make();
    EXPECT_EQ(reserve(*call), "");
    return call;
  }
  static void told(MeteredCall& call, std::int64_t input, std::int64_t output) {
    call.context().used().input_tokens = input;
    call.context().used().output_tokens = output;
  }

  // How the limits stand: of requests and of tokens, held or used.
  struct Drawn {
    std::int64_t requests = 0;
    std::int64_t tokens = 0;
    bool operator==(const Drawn&) const = default;
  };
  Drawn drawn() {
    std::optional<Standings> standings;
    wait([](RateLimiter& limiter, const ProjectId& project, std::optional<Standings>& out) -> Task<void> {
      // A question that takes nothing with it.
      const Reservation asked = co_await limiter.reserve({.project = project, .model = "m"}, 1, out);
    }(limiter_, tenant_.project, standings));
    return {standings->requests.used - 1, standings->tokens.used};
  }

  struct Recorded {
    store::UsageGroup group;
    UsageCounts counts;
  };
  // What is written of usage, by everything that tells series apart.
  std::vector<Recorded> recorded(UsageKind kind = UsageKind::completions) {
    wait(recorder_.flush());
    const UnixSeconds day = store::seconds_of(store::UsageWidth::day);
    const UnixSeconds start = clock_.unix_now() / day * day;
    store::UsageQuery query{
        .organization = tenant_.organization, .kind = kind, .start = start, .end = start + day};
    query.group_by = {UsageDimension::project_id, UsageDimension::user_id, UsageDimension::api_key_id,
                      UsageDimension::model,      UsageDimension::batch,   UsageDimension::source,
                      UsageDimension::size};
    const store::UsageSums sums = wait(usage_.query(std::move(query)));
    std::vector<Recorded> all;
    for (const store::UsageRow& row : sums.rows)
      all.push_back({sums.groups[row.group], row.counts});
    return all;
  }
  UsageCounts recorded_counts() {
    UsageCounts sum;
    for (const Recorded& each : recorded())
      sum += each.counts;
    return sum;
  }
  Money spent() {
    wait(recorder_.flush());
    return wait(budgets_.spent(tenant_, store::month_of(clock_.unix_now())));
  }

  const store::Tenant tenant_{OrganizationId("org-1"), ProjectId("proj_1")};
  const std::shared_ptr<const engine::CatalogueSnapshot> snapshot_ =
      std::make_shared<const engine::CatalogueSnapshot>(
          std::vector<engine::Model>{engine::Model{.id = "m", .prices = prices}},
          std::vector<engine::Alias>{{"alias", "m"}});
  db::TestDirectory directory_;
  FakeClock clock_;
  IdSource ids_{clock_};
  async::Runtime runtime_{1};
  std::unique_ptr<db::Database> database_ = store::open_data_directory(directory_.path());
  store::AccessEpoch epoch_{*database_};
  store::Usage usage_{*database_};
  store::Budgets budgets_{*database_};
  store::RateLimits rates_{*database_, clock_, ids_};
  UsageRecorder recorder_{usage_, clock_, ids_};
  SpendLimits spending_{budgets_, *database_, recorder_.ledger(), clock_, {}};
  RateLimiter limiter_{rates_, clock_, {.defaults = {.requests = 1'000, .tokens = 100'000}}};
  Metering metering_{spending_, limiter_, recorder_, {.costs = {.batch_discount = 0.5}}};
};

TEST_F(Metered, CountsWhatTheEngineTold) {
  const auto call = reserved();
  EXPECT_EQ(drawn(), (Drawn{1, 30})) << "held at its estimate";
  call->reached_engine();
  told(*call, 7, 3);
  call->context().used().cached_tokens = 2;
  call->end();
  EXPECT_EQ(drawn(), (Drawn{1, 10}));
  const auto all = recorded();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].group, (store::UsageGroup{"proj_1", "user-1", "key_1", "m", "false", "", ""}));
  EXPECT_EQ(all[0].counts,
            (UsageCounts{.requests = 1, .input_tokens = 7, .input_cached_tokens = 2, .output_tokens = 3}));
  EXPECT_EQ(spent(), to_money(7 + 2 * 3));
  EXPECT_EQ(metering_.tokens().at("m").input, 7);
  EXPECT_EQ(metering_.tokens().at("m").output, 3);
}

TEST_F(Metered, EndsOnce) {
  auto call = reserved();
  call->reached_engine();
  told(*call, 7, 3);
  call->end();
  told(*call, 70, 30);
  call->end();
  call->abandon();
  call.reset();
  EXPECT_EQ(recorded_counts(), (UsageCounts{.requests = 1, .input_tokens = 7, .output_tokens = 3}));
  EXPECT_EQ(drawn(), (Drawn{1, 10}));
  EXPECT_EQ(metering_.tokens().at("m").input, 7);
}

TEST_F(Metered, DroppedBeforeAnEngineItLeavesNothing) {
  make().reset();
  EXPECT_EQ(drawn(), Drawn{}) << "it had not reserved";
  reserved().reset();
  EXPECT_EQ(drawn(), Drawn{});
  reserved()->end();
  EXPECT_EQ(drawn(), Drawn{}) << "what fails before an engine is had costs nothing";
  EXPECT_TRUE(recorded().empty());
  EXPECT_TRUE(metering_.tokens().empty());
}

TEST_F(Metered, DroppedAtAnEngineItCountsItsPrompt) {
  auto call = reserved();
  call->reached_engine();
  call.reset();
  EXPECT_EQ(recorded_counts(), (UsageCounts{.requests = 1, .input_tokens = 10}));
  EXPECT_EQ(drawn(), (Drawn{1, 10}));
  EXPECT_EQ(metering_.tokens().at("m").input, 0) << "no engine counted it";
}

TEST_F(Metered, AnEngineThatFailedAtOnceUsedNothing) {
  const auto call = reserved();
  call->reached_engine();
  call->end();
  EXPECT_TRUE(recorded().empty());
  EXPECT_EQ(drawn(), (Drawn{1, 10})) << "it was asked all the same";
}

TEST_F(Metered, DroppedInTheMiddleOfAStreamItCountsWhatCame) {
  engine::FaultyBackend backend;
  auto call = reserved();
  wait([](MeteredCall& one, engine::FaultyBackend& engine) -> Task<void> {
    one.reached_engine();
    const json::object request;
    auto deltas = co_await engine.chat(request, engine::Delivery::streamed, one.context());
    GenerationStream stream(std::make_unique<LeaseOn>(engine), std::move(deltas),
                            {.stamp = {.id = "x", .created = 1, .model = "alias"}}, one.context().used());
    co_await stream.begin();
    for (int piece = 0; piece < 3; ++piece)
      EXPECT_TRUE(co_await stream.next());
  }(*call, backend));
  EXPECT_EQ(backend.open_streams, 0u);
  call.reset();
  EXPECT_EQ(recorded_counts(), (UsageCounts{.requests = 1, .input_tokens = 10, .output_tokens = 3}));
  EXPECT_EQ(drawn(), (Drawn{1, 13}));
}

TEST_F(Metered, AStreamThatBrokeCountsItsPromptAsEstimated) {
  const auto call = reserved();
  call->reached_engine();
  told(*call, 0, 4);
  call->end();
  EXPECT_EQ(recorded_counts(), (UsageCounts{.requests = 1, .input_tokens = 10, .output_tokens = 4}));
}

TEST_F(Metered, AnOwnerPaysWithoutAKeyToo) {
  const auto finish = [](MeteredCall& call) {
    call.reached_engine();
    told(call, 1, 0);
    call.end();
  };
  finish(*make(work(), {.tenant = tenant_, .owner = "user-1"}));
  finish(
      *make(work(),
            {.tenant = tenant_, .owner_kind = contract::OwnerKind::service_account, .owner = "svc_acct_1"}));
  contract::Principal account{
      .key = KeyId("key_1"), .organization = tenant_.organization, .project = tenant_.project};
  account.owner = {.kind = contract::OwnerKind::service_account, .id = "svc_acct_1"};
  finish(*make(work(), Payer::of(account)));
  std::vector<std::pair<std::string, std::string>> who;
  for (const Recorded& each : recorded())
    who.emplace_back(*each.group[1], *each.group[2]);
  std::ranges::sort(who);
  EXPECT_EQ(who, (std::vector<std::pair<std::string, std::string>>{{"", ""}, {"", "key_1"}, {"user-1", ""}}))
      << "a service account is no user";
}

TEST_F(Metered, WhatItIsForTellsSeriesApart) {
  Work pictures{.limited = Limited::images, .usage = UsageKind::images, .source = "image.edit", .images = 2};
  const auto call = make(pictures, payer());
  EXPECT_EQ(reserve(*call), "");
  call->reached_engine();
  call->context().used().images = 2;
  call->context().used().image_size = "256x256";
  call->end();
  EXPECT_TRUE(recorded().empty());
  const auto all = recorded(UsageKind::images);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].group,
            (store::UsageGroup{"proj_1", "user-1", "key_1", "m", "false", "image.edit", "256x256"}));
  EXPECT_EQ(all[0].counts.images, 2);
}

TEST_F(Metered, ABatchHasItsPricesAndDrawsOnNoMinute) {
  Work line = work();
  line.delivery = Delivery::batch;
  const auto call = make(line, payer());
  EXPECT_EQ(reserve(*call), "");
  EXPECT_EQ(drawn(), Drawn{});
  EXPECT_FALSE(call->standings());
  call->reached_engine();
  told(*call, 6, 2);
  call->end();
  EXPECT_EQ(spent(), to_money((6 + 2 * 2) * 0.5));
  const auto all = recorded();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].group[static_cast<std::size_t>(UsageDimension::batch)], "true");
}

TEST_F(Metered, ASpentBudgetRefuses) {
  wait(budgets_.set(tenant_, {to_money(5)}, clock_));
  const auto first = reserved();
  first->reached_engine();
  told(*first, 5, 0);
  first->end();
  const auto second = make();
  EXPECT_EQ(reserve(*second), "429 insufficient_quota");
  EXPECT_EQ(drawn(), (Drawn{1, 5})) << "the refused one holds nothing";
  second->end();
  EXPECT_EQ(recorded_counts().requests, 1);
}

TEST_F(Metered, AReachedLimitRefusesAndTells) {
  RateLimiter limiter(rates_, clock_, {.defaults = {.requests = 1}});
  Metering metering(spending_, limiter, recorder_, {});
  MeteredCall first(metering, payer(), target(), work(), "req_1", SteadyTime::max());
  EXPECT_EQ(reserve(first), "");
  MeteredCall second(metering, payer(), target(), work(), "req_2", SteadyTime::max());
  EXPECT_EQ(reserve(second), "429 rate_limit_exceeded");
  ASSERT_TRUE(second.standings());
  EXPECT_EQ(second.standings()->requests.used, 1);
  second.end();
  first.abandon();
  MeteredCall third(metering, payer(), target(), work(), "req_3", SteadyTime::max());
  EXPECT_EQ(reserve(third), "") << "no engine was reached: there is room again";
}

TEST_F(Metered, DoesWhatIsConfiguredWhileTheLedgerIsAway) {
  struct Case {
    LedgerFailure failure;
    std::string_view refusal;
    bool told;  // how the limits stand
  };
  for (const Case& each : {Case{LedgerFailure::allow, "", false},
                           Case{LedgerFailure::refuse, "503 rate_limits_unavailable", false},
                           Case{LedgerFailure::local, "", true}}) {
    RateLimiter limiter(rates_, clock_, {.defaults = {.tokens = 1'000}, .failure = each.failure},
                        std::make_unique<AwayLedger>());
    Metering metering(spending_, limiter, recorder_, {});
    MeteredCall call(metering, payer(), target(), work(), "req_1", SteadyTime::max());
    EXPECT_EQ(reserve(call), each.refusal);
    EXPECT_EQ(call.standings().has_value(), each.told);
    if (!each.refusal.empty()) continue;
    call.reached_engine();
    told(call, 1, 1);
    call.end();
  }
  EXPECT_EQ(recorded_counts(), (UsageCounts{.requests = 2, .input_tokens = 2, .output_tokens = 2}));
}

TEST_F(Metered, UncountedItHasLimitsAlone) {
  wait(budgets_.set(tenant_, {Money{0}}, clock_));
  Metering metering(spending_, limiter_, recorder_, {.usage = MeteringSettings::Usage::uncounted});
  MeteredCall call(metering, payer(), target(), work(), "req_1", SteadyTime::max());
  EXPECT_EQ(reserve(call), "");
  EXPECT_EQ(drawn(), (Drawn{1, 30}));
  call.reached_engine();
  told(call, 7, 3);
  call.end();
  EXPECT_TRUE(recorded().empty());
  EXPECT_EQ(metering.tokens().at("m").input, 7) << "/metrics shows it all the same";
}

// Calls in random states that are left at random points, many at once: what is counted is the sum of what
// each had used by then, and nothing stays held.
TEST_F(Metered, WhereverItIsLeftEverythingCountsOnce) {
  std::mt19937 random(20250429);
  const auto below = [&random](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
  struct Live {
    std::unique_ptr<MeteredCall> call;
    int step = 0;  // made, reserved, at an engine
    bool reserved = false;
  };
  std::vector<Live> live;
  UsageCounts expected;
  Drawn settled;
  const auto leave = [&](Live& one) {
    const contract::Used used = one.call->context().used();
    const int how = below(4);
    const bool by_itself = how == 0;
    if (how == 0) one.call->end();
    if (how == 1) one.call->abandon();
    if (how == 3) one.call->abandon(), one.call->end();
    one.call.reset();
    if (one.step < 2) return;
    const std::int64_t prompt = used.input_tokens > 0 ? used.input_tokens : 10;
    if (one.reserved) settled = {settled.requests + 1, settled.tokens + prompt + used.output_tokens};
    const bool used_nothing = used.input_tokens == 0 && used.output_tokens == 0;
    if (by_itself && used_nothing) return;
    expected += {.requests = 1, .input_tokens = prompt, .output_tokens = used.output_tokens};
  };
  for (int i = 0; i < 2'000; ++i) {
    if (live.size() < 8 && below(3) == 0) {
      live.push_back({make()});
      continue;
    }
    if (live.empty()) continue;
    Live& one = live[static_cast<std::size_t>(below(static_cast<int>(live.size())))];
    contract::Used& used = one.call->context().used();
    if (below(4) == 0) {
      leave(one);
      std::swap(one, live.back());
      live.pop_back();
    } else if (one.step == 0) {
      one.reserved = below(8) != 0;  // some are asked unreserved: nothing may break
      if (one.reserved) EXPECT_EQ(reserve(*one.call), "");
      one.step = 1;
    } else if (one.step == 1) {
      one.call->reached_engine();
      one.step = 2;
    } else if (below(3) == 0) {
      told(*one.call, 1 + below(20), used.output_tokens);
    } else {
      ++used.output_tokens;
    }
    if (below(50) == 0) wait(recorder_.flush());
  }
  for (Live& one : live)
    leave(one);
  EXPECT_EQ(recorded_counts(), expected);
  EXPECT_GT(expected.requests, 50);
  EXPECT_EQ(spent(), to_money(static_cast<double>(expected.input_tokens + 2 * expected.output_tokens)));
  EXPECT_EQ(drawn(), settled) << "nothing is held any more";
  clock_.advance(61s);
  EXPECT_EQ(drawn(), Drawn{});
}

}  // namespace
}  // namespace hearth::domain
