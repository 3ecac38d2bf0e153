#include "domain/rate_limiter.hpp"

#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "base/api_error.hpp"
#include "db/test_directory.hpp"
#include "store/schema.hpp"

namespace hearth::domain {
namespace {

// A ledger that is there or not.
class Flaky final : public LimitLedger {
 public:
  explicit Flaky(const bool& away) : away_(away) {}
  Task<Decision> reserve(std::string key, const Limits&, Amounts amounts) override {
    if (away_) throw LedgerAway("away");
    Decision decision;
    decision.ticket = {.key = std::move(key), .amounts = amounts};
    co_return decision;
  }
  void settle(Ticket, Outcome) override {}

 private:
  const bool& away_;
};

class Limiter : public testing::Test {
 protected:
  struct Answer {
    std::optional<ApiError> error;
    std::optional<Standings> standings;
  };

  Answer ask(RateLimiter& limiter, LimitRequest request) {
    Answer answer;
    runtime_.run_until_complete([](RateLimiter& l, LimitRequest r, Answer& out) -> Task<void> {
      try {
        Reservation reservation = co_await l.reserve(std::move(r), 1, out.standings);
        reservation.settle({.reached_engine = true, .tokens = 1});
      } catch (const ApiError& error) {
        out.error = error;
      }
    }(limiter, std::move(request), answer));
    return answer;
  }
  static LimitRequest request(std::int64_t prompt, std::int64_t output = 0) {
    return {.project = ProjectId("proj_a"),
            .model = "m",
            .limited = contract::Limited::tokens,
            .tokens = {prompt, output}};
  }

  db::TestDirectory directory_;
  FakeClock clock_;
  IdSource ids_{clock_};
  async::Runtime runtime_{1};
  std::unique_ptr<db::Database> database_ = store::open_data_directory(directory_.path(), {});
  store::RateLimits rates_{*database_, clock_, ids_};
};

TEST_F(Limiter, SaysWhatIsReachedAndWhenToComeAgain) {
  RateLimiter limiter(rates_, clock_, {.defaults = {.requests = 1}});
  EXPECT_FALSE(ask(limiter, request(1)).error);
  clock_.advance(std::chrono::seconds(20));
  const Answer answer = ask(limiter, request(1));
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->status(), 429);
  EXPECT_EQ(answer.error->type(), "requests");
  EXPECT_EQ(answer.error->code(), "rate_limit_exceeded");
  EXPECT_EQ(answer.error->retry_after(), std::chrono::seconds(40));
  EXPECT_EQ(
      answer.error->message(),
      "Rate limit reached for the model 'm' in the project proj_a on requests per minute (RPM): limit 1, "
      "used 1, requested 1. Try again in 40 s.");
  EXPECT_TRUE(answer.standings && !answer.standings->hopeless);
}

TEST_F(Limiter, OnlyAPromptOverTheLimitIsHopeless) {
  RateLimiter limiter(rates_, clock_, {.defaults = {.tokens = 100}});
  EXPECT_FALSE(ask(limiter, request(10, 5000)).error) << "the estimate of the output is cut to the limit";
  const Answer waits = ask(limiter, request(100));
  EXPECT_TRUE(waits.error && waits.error->retry_after()) << "one token was used";
  const Answer never = ask(limiter, request(101));
  ASSERT_TRUE(never.error && never.standings);
  EXPECT_FALSE(never.error->retry_after());
  EXPECT_TRUE(never.standings->hopeless);
  EXPECT_EQ(never.error->type(), "tokens");
}

TEST_F(Limiter, ImagesAndSoundHaveLimits) {
  RateLimiter limiter(rates_, clock_, {.defaults = {.images = 2, .audio_bytes = 1000}});
  LimitRequest pictures = request(0);
  pictures.limited = contract::Limited::images;
  pictures.images = 2;
  EXPECT_FALSE(ask(limiter, pictures).error);
  EXPECT_TRUE(ask(limiter, pictures).error);
  LimitRequest sound = request(0);
  sound.limited = contract::Limited::audio;
  sound.audio_bytes = 600;
  EXPECT_FALSE(ask(limiter, sound).error);
  EXPECT_TRUE(ask(limiter, sound).error);
}

TEST_F(Limiter, SwitchedOffItAsksNobody) {
  RateLimiter limiter(rates_, clock_, {.enabled = false, .defaults = {.requests = 0}});
  const Answer answer = ask(limiter, request(1));
  EXPECT_FALSE(answer.error);
  EXPECT_FALSE(answer.standings);
}

TEST_F(Limiter, DoesWhatIsConfiguredWhileTheLedgerIsAway) {
  bool away = true;
  const auto make = [&](LedgerFailure failure) {
    return RateLimiter(rates_, clock_, {.defaults = {.requests = 1}, .failure = failure},
                       std::make_unique<Flaky>(away));
  };
  RateLimiter allows = make(LedgerFailure::allow);
  for (int i = 0; i < 3; ++i) {
    const Answer answer = ask(allows, request(1));
    EXPECT_TRUE(!answer.error && !answer.standings);
  }
  RateLimiter refuses = make(LedgerFailure::refuse);
  const Answer refused = ask(refuses, request(1));
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->status(), 503);
  EXPECT_EQ(refused.error->code(), "rate_limits_unavailable");
  RateLimiter counts = make(LedgerFailure::local);
  EXPECT_FALSE(ask(counts, request(1)).error);
  EXPECT_EQ(ask(counts, request(1)).error->status(), 429);
  away = false;
  for (RateLimiter* limiter : {&allows, &refuses, &counts})
    EXPECT_FALSE(ask(*limiter, request(1)).error);
}

TEST_F(Limiter, AProjectsOwnLimitsLieOverTheOthers) {
  const Limits defaults{.requests = 5, .tokens = 6};
  const Limits own = lay_over(defaults, {.tokens_per_minute = 9, .audio_megabytes_per_minute = 2});
  EXPECT_EQ(own, (Limits{.requests = 5, .tokens = 9, .audio_bytes = 2'000'000}));
  EXPECT_EQ(lay_over(defaults, {.requests_per_minute = std::numeric_limits<std::int64_t>::max(),
                                .audio_megabytes_per_minute = std::numeric_limits<std::int64_t>::max()}),
            (Limits{.requests = unlimited, .tokens = 6}));
}

}  // namespace
}  // namespace hearth::domain
