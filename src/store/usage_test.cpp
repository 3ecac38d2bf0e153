// What sums of usage, costs and budgets promise, on every driver. A driver is one row of `drivers` at the
// end.
#include "store/usage.hpp"

#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "db/sqlite.hpp"
#include "db/test_directory.hpp"
#include "store/budgets.hpp"
#include "store/schema.hpp"

namespace hearth::store {
namespace {

struct DriverCase {
  const char* name;
  std::unique_ptr<db::Driver> (*open)(const std::filesystem::path& directory);
};

// One server process on the database.
struct Server {
  std::unique_ptr<db::Database> database;
  Usage usage{*database};
  Budgets budgets{*database};

  explicit Server(std::unique_ptr<db::Driver> driver) : database(open_database(std::move(driver))) {}
};

constexpr UnixSeconds day = 86'400;
constexpr UnixSeconds base = 20'000 * day;  // a midnight

class UsageConformance : public testing::TestWithParam<DriverCase> {
 protected:
  std::unique_ptr<Server> start() { return std::make_unique<Server>(GetParam().open(directory_.path())); }
  template <class T>
  T wait(Task<T> task) {
    std::optional<T> result;
    runtime_.run_until_complete([](Task<T> one, std::optional<T>& out) -> Task<void> {
      out = co_await std::move(one);
    }(std::move(task), result));
    return std::move(*result);
  }
  void wait(Task<void> task) { runtime_.run_until_complete(std::move(task)); }

  void add(Server& server, UsageSeries series, UnixSeconds at, UsageCounts counts) {
    wait(server.usage.add({.usage = {{std::move(series), at, counts}}}));
  }

  UsageSeries series(std::string project = "proj_a", std::string model = "m") {
    return {.tenant = {OrganizationId("org-1"), ProjectId(std::move(project))},
            .user = "user-1",
            .key = KeyId("key_1"),
            .model = std::move(model)};
  }
  UsageQuery days(UnixSeconds first, int count) {
    return {.organization = OrganizationId("org-1"), .start = first, .end = first + count * day};
  }

  db::TestDirectory directory_;
  async::Runtime runtime_{1};
};

TEST_P(UsageConformance, AllWidthsHoldTheSameSums) {
  const auto server = start();
  add(*server, series(), base + 59, {.requests = 1, .input_tokens = 10, .output_tokens = 3});
  add(*server, series(), base + 60, {.requests = 1, .input_tokens = 20, .input_cached_tokens = 5});
  add(*server, series(), base + 3'600, {.requests = 1, .input_tokens = 40, .input_audio_tokens = 2});
  UsageQuery query = days(base, 1);
  auto rows = wait(server->usage.query(query)).rows;
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].bucket, base);
  EXPECT_EQ(rows[0].counts, (UsageCounts{.requests = 3,
                                         .input_tokens = 70,
                                         .input_cached_tokens = 5,
                                         .output_tokens = 3,
                                         .input_audio_tokens = 2}));
  query.width = UsageWidth::hour;
  rows = wait(server->usage.query(query)).rows;
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].counts.input_tokens, 30);
  EXPECT_EQ(rows[1].bucket, base + 3'600);
  EXPECT_EQ(rows[1].counts.input_tokens, 40);
  query.width = UsageWidth::minute;
  query.end = base + 120;
  rows = wait(server->usage.query(query)).rows;
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].counts.input_tokens, 10);
  EXPECT_EQ(rows[1].bucket, base + 60);
}

TEST_P(UsageConformance, BucketsBeginWithTheirStartAndEndBeforeTheNext) {
  const auto server = start();
  add(*server, series(), base - 1, {.requests = 1});
  add(*server, series(), base, {.requests = 10});
  add(*server, series(), base + day - 1, {.requests = 100});
  add(*server, series(), base + day, {.requests = 1'000});
  const auto rows = wait(server->usage.query(days(base, 1))).rows;
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].counts.requests, 110);
}

TEST_P(UsageConformance, GroupsAndFilters) {
  const auto server = start();
  UsageSeries other = series("proj_b", "n");
  other.user = "";
  other.key = KeyId("key_2");
  other.delivery = contract::Delivery::batch;
  add(*server, series(), base, {.requests = 1});
  add(*server, series("proj_a", "n"), base, {.requests = 2});
  add(*server, other, base, {.requests = 4});
  using enum UsageDimension;
  const auto grouped = [&](std::vector<UsageDimension> by, std::vector<UsageFilter> filters) {
    UsageQuery query = days(base, 1);
    query.group_by = std::move(by);
    query.filters = std::move(filters);
    std::string text;
    const UsageSums sums = wait(server->usage.query(query));
    for (const UsageRow& row : sums.rows) {
      for (const auto& group : sums.groups[row.group]) {
        if (group) text += *group + " ";
      }
      text += std::to_string(row.counts.requests) + "; ";
    }
    return text;
  };
  EXPECT_EQ(grouped({}, {}), "7; ");
  EXPECT_EQ(grouped({project_id}, {}), "proj_a 3; proj_b 4; ");
  EXPECT_EQ(grouped({model}, {}), "m 1; n 6; ");
  EXPECT_EQ(grouped({batch}, {}), "false 3; true 4; ");
  EXPECT_EQ(grouped({user_id}, {}), " 4; user-1 3; ");
  EXPECT_EQ(grouped({project_id, model}, {}), "proj_a m 1; proj_a n 2; proj_b n 4; ");
  EXPECT_EQ(grouped({api_key_id}, {{model, {"n"}}}), "key_1 2; key_2 4; ");
  EXPECT_EQ(grouped({}, {{project_id, {"proj_a"}}, {model, {"n"}}}), "2; ");
  EXPECT_EQ(grouped({}, {{project_id, {"proj_a", "proj_b"}}}), "7; ");
  EXPECT_EQ(grouped({}, {{batch, {"true"}}}), "4; ");
  EXPECT_EQ(grouped({}, {{user_id, {"nobody"}}}), "");
}

TEST_P(UsageConformance, KindsAndOrganizationsAreApart) {
  const auto server = start();
  UsageSeries images = series();
  images.kind = UsageKind::images;
  images.source = "image.edit";
  images.size = "256x256";
  UsageSeries foreign = series();
  foreign.tenant.organization = OrganizationId("org-2");
  add(*server, series(), base, {.requests = 1, .input_tokens = 1});
  add(*server, images, base, {.requests = 1, .images = 3});
  add(*server, foreign, base, {.requests = 1, .input_tokens = 100});
  auto rows = wait(server->usage.query(days(base, 1))).rows;
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].counts, (UsageCounts{.requests = 1, .input_tokens = 1}));
  UsageQuery query = days(base, 1);
  query.kind = UsageKind::images;
  query.group_by = {UsageDimension::source, UsageDimension::size};
  const UsageSums sums = wait(server->usage.query(query));
  rows = sums.rows;
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].counts, (UsageCounts{.requests = 1, .images = 3}));
  EXPECT_EQ(sums.groups[rows[0].group][static_cast<std::size_t>(UsageDimension::source)], "image.edit");
  EXPECT_EQ(sums.groups[rows[0].group][static_cast<std::size_t>(UsageDimension::size)], "256x256");
  query.kind = UsageKind::moderations;
  query.group_by.clear();
  EXPECT_TRUE(wait(server->usage.query(query)).rows.empty());
}

TEST_P(UsageConformance, TwoProcessesAddToTheSameSeries) {
  const auto here = start();
  const auto there = start();
  for (Server* server : {here.get(), there.get(), here.get()})
    add(*server, series(), base, {.requests = 1});
  EXPECT_EQ(wait(there->usage.query(days(base, 1))).rows[0].counts.requests, 3);
}

TEST_P(UsageConformance, AWriteThatFailsLeavesNothingBehind) {
  const auto server = start();
  // The last statement fails; the series was new.
  wait(server->database->write(
      [](db::Connection& connection) { connection.execute("DROP TABLE project_spending"); }));
  UsageBatch batch{.usage = {{series(), base, {.requests = 1}}},
                   .costs = {{series().tenant, base, "m, input", 5}}};
  EXPECT_THROW(wait(server->usage.add(batch)), std::exception);
  EXPECT_TRUE(wait(server->usage.query(days(base, 1))).rows.empty());
  batch.costs.clear();
  wait(server->usage.add(batch));
  EXPECT_EQ(wait(server->usage.query(days(base, 1))).rows[0].counts.requests, 1);
}

TEST_P(UsageConformance, CostsByDayProjectAndLineItem) {
  const auto server = start();
  const Tenant a = series("proj_a").tenant;
  const Tenant b = series("proj_b").tenant;
  const auto spent = wait(server->usage.add({.costs = {{a, base, "m, input", 100},
                                                       {a, base + 5, "m, input", 20},
                                                       {a, base, "m, output", 3},
                                                       {b, base, "m, input", 1'000},
                                                       {a, base + day, "m, input", 7}}}));
  ASSERT_EQ(spent.size(), 2u);
  EXPECT_EQ(spent[0].amount, 130);
  EXPECT_EQ(spent[1].amount, 1'000);
  const auto costs = [&](CostQuery::Group group, std::vector<std::string> projects) {
    std::string text;
    for (const CostRow& row : wait(server->usage.query_costs({.organization = a.organization,
                                                              .start = base,
                                                              .end = base + 2 * day,
                                                              .projects = std::move(projects),
                                                              .group = group}))) {
      text += std::to_string((row.bucket - base) / day) + " " + row.project.value_or("*") + " " +
              row.line_item.value_or("*") + " " + std::to_string(row.amount) + "; ";
    }
    return text;
  };
  using enum CostQuery::Group;
  EXPECT_EQ(costs(none, {}), "0 * * 1123; 1 * * 7; ");
  EXPECT_EQ(costs(project, {}), "0 proj_a * 123; 0 proj_b * 1000; 1 proj_a * 7; ");
  EXPECT_EQ(costs(line_item, {}), "0 * m, input 1120; 0 * m, output 3; 1 * m, input 7; ");
  EXPECT_EQ(costs(both, {"proj_a"}), "0 proj_a m, input 120; 0 proj_a m, output 3; 1 proj_a m, input 7; ");
  EXPECT_EQ(costs(none, {"proj_c"}), "");
}

TEST_P(UsageConformance, SpendingIsByCalendarMonth) {
  EXPECT_EQ(month_of(1'772'323'199), 1'769'904'000);  // the last second of February 2026
  EXPECT_EQ(month_of(1'772'323'200), 1'772'323'200);
  const auto server = start();
  const Tenant tenant = series().tenant;
  wait(server->usage.add({.costs = {{tenant, 1'772'323'199, "m, input", 5}}}));
  wait(server->usage.add({.costs = {{tenant, 1'772'323'200, "m, input", 6}}}));
  EXPECT_EQ(wait(server->budgets.spent(tenant, 1'769'904'000)), 5);
  EXPECT_EQ(wait(server->budgets.spent(tenant, 1'772'323'200)), 6);
  EXPECT_EQ(wait(server->budgets.spent(series("proj_b").tenant, 1'772'323'200)), 0);
}

TEST_P(UsageConformance, Budgets) {
  const auto server = start();
  const FakeClock clock;
  const Tenant tenant = series().tenant;
  wait(server->database->write([&tenant](db::Connection& connection) {
    connection.execute("INSERT INTO organizations (id, name, created_at) VALUES ($1, 'x', 1)",
                       {tenant.organization});
    connection.execute(
        "INSERT INTO projects (id, organization_id, name, status, is_default, created_at) VALUES ($1, $2, "
        "'x', 'active', 0, 1)",
        {tenant.project, tenant.organization});
  }));
  EXPECT_FALSE(wait(server->budgets.find(tenant)).has_value());
  wait(server->budgets.set(tenant, {to_money(12.5)}, clock));
  EXPECT_EQ(wait(server->budgets.find(tenant))->amount, 12'500'000'000);
  EXPECT_FALSE(wait(server->budgets.find({OrganizationId("org-2"), tenant.project})).has_value());
  wait(server->budgets.set(tenant, {}, clock));
  EXPECT_EQ(wait(server->budgets.find(tenant))->amount, std::nullopt);
  EXPECT_TRUE(wait(server->budgets.reset(tenant)));
  EXPECT_FALSE(wait(server->budgets.reset(tenant)));
  EXPECT_FALSE(wait(server->budgets.find(tenant)).has_value());
}

TEST_P(UsageConformance, VectorStoresAreALevel) {
  const auto server = start();
  const auto set = [&](std::string project, std::int64_t bytes, UnixSeconds at) {
    wait(server->database->write([&](db::Connection& connection) {
      Usage::set_vector_store_bytes_in(connection, series(project).tenant, bytes, at);
    }));
  };
  set("proj_a", 100, base - 10 * day);
  set("proj_a", 200, base + 100);
  set("proj_a", 300, base + 110);  // in the same minute: the later one holds
  set("proj_b", 5, base + day + 1);
  set("proj_a", 0, base + 2 * day);
  const auto levels = [&](std::vector<std::string> projects, UnixSeconds now) {
    std::string text;
    for (const LevelRow& row :
         wait(server->usage.query_vector_store_bytes({.organization = OrganizationId("org-1"),
                                                      .start = base - day,
                                                      .end = base + 4 * day,
                                                      .projects = std::move(projects)},
                                                     now))) {
      text += std::to_string((row.bucket - base) / day) + " " + row.project.str() + " " +
              std::to_string(row.bytes) + "; ";
    }
    return text;
  };
  EXPECT_EQ(levels({}, base + 3 * day),
            "-1 proj_a 100; 0 proj_a 300; 1 proj_a 300; 1 proj_b 5; 2 proj_b 5; 3 proj_b 5; ");
  EXPECT_EQ(levels({"proj_a"}, base + 3 * day), "-1 proj_a 100; 0 proj_a 300; 1 proj_a 300; ");
  EXPECT_EQ(levels({"proj_b"}, base + 2 * day), "1 proj_b 5; 2 proj_b 5; ") << "nothing of what is to come";
}

constexpr DriverCase drivers[] = {
    {"sqlite",
     [](const std::filesystem::path& directory) {
       return db::open_sqlite({.file = directory / "hearth.db"});
     }},
};

INSTANTIATE_TEST_SUITE_P(Drivers, UsageConformance, testing::ValuesIn(drivers),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace hearth::store
