// What the store promises about the limits of projects.
#include "store/conformance.hpp"
#include "store/rate_limits.hpp"

namespace hearth::store {
namespace {

RateLimitChange to(const ProjectId& project, RateLimitValues values) {
  return {.project = project, .id = "rl-a", .model = "a", .values = values, .details = R"({"id":"rl-a"})"};
}

TEST_P(StoreConformance, LimitsAreLaidOverThoseBefore) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const Tenant foreign = add_project(*server, OrganizationId("org-other"));
  RateLimits limits(*server->database, clock_, ids_);
  run([](Server& s, RateLimits& rates, Tenant own, Tenant other, Actor actor) -> Task<void> {
    EXPECT_FALSE(co_await rates.find(own.project, "a", co_await s.epoch.current()));
    auto all = co_await rates.change(actor, to(own.project, {.requests_per_minute = 5}));
    EXPECT_TRUE(all.requests_per_minute == 5 && !all.tokens_per_minute);
    all = co_await rates.change(actor, to(own.project, {.tokens_per_minute = 7, .requests_per_day = 0}));
    EXPECT_TRUE(all.requests_per_minute == 5 && all.tokens_per_minute == 7 && all.requests_per_day == 0);

    const auto found = co_await rates.find(own.project, "a", co_await s.epoch.current());
    EXPECT_TRUE(found && found->tokens_per_minute == 7 && !found->images_per_minute);
    EXPECT_FALSE(co_await rates.find(own.project, "b", co_await s.epoch.current()));
    EXPECT_FALSE(co_await rates.find(other.project, "a", co_await s.epoch.current()));
    EXPECT_EQ((co_await rates.list(own.organization, own.project)).size(), 1U);

    EXPECT_EQ(co_await refusal([&] { return rates.list(own.organization, other.project); }),
              "not_found project_id");
    EXPECT_EQ(co_await refusal([&] { return rates.change(actor, to(other.project, {})); }),
              "not_found project_id");
    const Project closed = co_await s.projects.create(actor, "Closed");
    co_await s.projects.archive(actor, closed.id);
    EXPECT_EQ(co_await refusal([&] { return rates.change(actor, to(closed.id, {})); }),
              "project_archived project_id");
    EXPECT_TRUE((co_await rates.list(own.organization, closed.id)).empty());
    EXPECT_EQ(co_await events(s),
              (Types{"rate_limit.updated", "rate_limit.updated", "project.created", "project.archived"}));
  }(*server, limits, tenant, foreign, act_for(tenant)));
}

TEST_P(StoreConformance, AChangedLimitHoldsInOtherProcessesAtOnce) {
  const auto one = start();
  const Tenant tenant = make_tenant(*one);
  const auto other = start();
  RateLimits here(*one->database, clock_, ids_);
  RateLimits there(*other->database, clock_, ids_);
  run([](RateLimits& first, RateLimits& second, AccessEpoch& epoch, Tenant own, Actor actor) -> Task<void> {
    for (std::int64_t limit = 1; limit <= 5; ++limit) {
      co_await first.change(actor, to(own.project, {.requests_per_minute = limit}));
      const auto seen = co_await second.find(own.project, "a", co_await epoch.current());
      EXPECT_TRUE(seen && seen->requests_per_minute == limit);
    }
  }(here, there, other->epoch, tenant, act_for(tenant)));
}

}  // namespace
}  // namespace hearth::store
