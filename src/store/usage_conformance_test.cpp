// What sums of usage, costs and budgets promise, on every driver.
#include <gtest/gtest.h>

#include "store/budgets.hpp"
#include "store/conformance.hpp"
#include "store/usage.hpp"

namespace hearth::store {
namespace {

constexpr UnixSeconds day = 86'400;
constexpr UnixSeconds base = 20'000 * day;  // a midnight

// A server process, and what counts in it.
struct Counting {
  std::unique_ptr<Server> process;
  Usage usage;
  Budgets budgets;
  std::string writer;
  std::int64_t batches = 0;

  explicit Counting(std::unique_ptr<Server> server)
      : process(std::move(server)), usage(*process->database), budgets(*process->database) {
    static int started = 0;
    writer = "writer_" + std::to_string(++started);
  }

  UsageBatch number(UsageBatch batch) {
    batch.writer = writer;
    batch.number = ++batches;
    return batch;
  }
};

template <class T>
T wait(async::Runtime& runtime, Task<T> task) {
  std::optional<T> result;
  runtime.run_until_complete([](Task<T> one, std::optional<T>& out) -> Task<void> {
    out = co_await std::move(one);
  }(std::move(task), result));
  return std::move(*result);
}
void wait(async::Runtime& runtime, Task<void> task) {
  runtime.run_until_complete(std::move(task));
}

void add(async::Runtime& runtime, Counting& server, UsageSeries series, UnixSeconds at, UsageCounts counts) {
  wait(runtime, server.usage.add(server.number({.usage = {{std::move(series), at, counts}}}), at));
}

UsageSeries series_of(std::string project = "proj_a", std::string model = "m") {
  return {.tenant = {OrganizationId("org-1"), ProjectId(std::move(project))},
          .user = "user-1",
          .key = KeyId("key_1"),
          .model = std::move(model)};
}

UsageQuery days(UnixSeconds first, int count) {
  return {.organization = OrganizationId("org-1"), .start = first, .end = first + count * day};
}

TEST_P(StoreConformance, AllWidthsHoldTheSameSums) {
  const auto server = std::make_unique<Counting>(start());
  add(runtime_, *server, series_of(), base + 59, {.requests = 1, .input_tokens = 10, .output_tokens = 3});
  add(runtime_, *server, series_of(), base + 60,
      {.requests = 1, .input_tokens = 20, .input_cached_tokens = 5});
  add(runtime_, *server, series_of(), base + 3'600,
      {.requests = 1, .input_tokens = 40, .input_audio_tokens = 2});
  UsageQuery query = days(base, 1);
  auto rows = wait(runtime_, server->usage.query(query)).rows;
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].bucket, base);
  EXPECT_EQ(rows[0].counts, (UsageCounts{.requests = 3,
                                         .input_tokens = 70,
                                         .input_cached_tokens = 5,
                                         .output_tokens = 3,
                                         .input_audio_tokens = 2}));
  query.width = UsageWidth::hour;
  rows = wait(runtime_, server->usage.query(query)).rows;
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].counts.input_tokens, 30);
  EXPECT_EQ(rows[1].bucket, base + 3'600);
  EXPECT_EQ(rows[1].counts.input_tokens, 40);
  query.width = UsageWidth::minute;
  query.end = base + 120;
  rows = wait(runtime_, server->usage.query(query)).rows;
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].counts.input_tokens, 10);
  EXPECT_EQ(rows[1].bucket, base + 60);
}

TEST_P(StoreConformance, BucketsBeginWithTheirStartAndEndBeforeTheNext) {
  const auto server = std::make_unique<Counting>(start());
  add(runtime_, *server, series_of(), base - 1, {.requests = 1});
  add(runtime_, *server, series_of(), base, {.requests = 10});
  add(runtime_, *server, series_of(), base + day - 1, {.requests = 100});
  add(runtime_, *server, series_of(), base + day, {.requests = 1'000});
  const auto rows = wait(runtime_, server->usage.query(days(base, 1))).rows;
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].counts.requests, 110);
}

TEST_P(StoreConformance, GroupsAndFilters) {
  const auto server = std::make_unique<Counting>(start());
  UsageSeries other = series_of("proj_b", "n");
  other.user = "";
  other.key = KeyId("key_2");
  other.delivery = contract::Delivery::batch;
  add(runtime_, *server, series_of(), base, {.requests = 1});
  add(runtime_, *server, series_of("proj_a", "n"), base, {.requests = 2});
  add(runtime_, *server, other, base, {.requests = 4});
  using enum UsageDimension;
  const auto grouped = [&](std::vector<UsageDimension> by, std::vector<UsageFilter> filters) {
    UsageQuery query = days(base, 1);
    query.group_by = std::move(by);
    query.filters = std::move(filters);
    std::string text;
    const UsageSums sums = wait(runtime_, server->usage.query(query));
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

// Follows the pages from `start` to `end`; "rows of page 1 | rows of page 2 | …".
template <class Read>
std::string read_pages(UnixSeconds start, UnixSeconds end, Read read) {
  std::string text;
  for (int pages = 0; start < end && pages < 100; ++pages) {
    const UnixSeconds next = read(start, text);
    EXPECT_GT(next, start);
    EXPECT_EQ((next - start) % day, 0);
    start = next;
    if (start < end) text += "| ";
  }
  return text;
}

TEST_P(StoreConformance, APageEndsBeforeTheBucketThatDoesNotFit) {
  const auto server = std::make_unique<Counting>(start());
  const auto count = [&](int on, std::vector<std::string> models) {
    for (std::string& model : models)
      add(runtime_, *server, series_of("proj_a", std::move(model)), base + on * day, {.requests = 1});
  };
  count(0, {"a", "b"});
  count(1, {"a", "b", "c", "d"});  // more than any page
  count(3, {"a"});
  count(4, {"b"});
  count(5, {"c"});
  count(6, {"a", "d"});
  const auto pages = [&](std::size_t most, std::vector<UsageFilter> filters = {}) {
    return read_pages(base, base + 8 * day, [&](UnixSeconds from, std::string& text) {
      UsageQuery query = days(from, static_cast<int>((base + 8 * day - from) / day));
      query.group_by = {UsageDimension::model};
      query.filters = filters;
      query.most_results = most;
      const UsageSums sums = wait(runtime_, server->usage.query(query));
      for (const UsageRow& row : sums.rows) {
        text += std::to_string((row.bucket - base) / day) +
                *sums.groups[row.group][static_cast<std::size_t>(UsageDimension::model)] + " ";
      }
      return sums.end;
    });
  };
  EXPECT_EQ(pages(100), "0a 0b 1a 1b 1c 1d 3a 4b 5c 6a 6d ");
  EXPECT_EQ(pages(11), "0a 0b 1a 1b 1c 1d 3a 4b 5c 6a 6d ");
  EXPECT_EQ(pages(10), "0a 0b 1a 1b 1c 1d 3a 4b 5c | 6a 6d ");
  EXPECT_EQ(pages(3), "0a 0b | 1a 1b 1c 1d | 3a 4b 5c | 6a 6d ");
  EXPECT_EQ(pages(1), "0a 0b | 1a 1b 1c 1d | 3a | 4b | 5c | 6a 6d ");
  EXPECT_EQ(pages(3, {{UsageDimension::model, {"a", "b"}}}), "0a 0b | 1a 1b 3a | 4b 6a ");
}

TEST_P(StoreConformance, ManyRowsAreReadInParts) {
  const auto server = std::make_unique<Counting>(start());
  constexpr int series = 300, minutes = 40;  // 12,000 rows: more than are read at once
  UsageBatch batch;
  for (int one = 0; one < series; ++one) {
    for (int minute = 0; minute < minutes; ++minute)
      batch.usage.push_back(
          {series_of("proj_a", "m" + std::to_string(one)), base + minute * 60, {.requests = 1}});
  }
  wait(runtime_, server->usage.add(server->number(std::move(batch)), base));
  const auto sums_of = [&](UsageDimension by, std::size_t most) {
    std::int64_t rows = 0, requests = 0, pages = 0;
    for (UnixSeconds from = base; from < base + minutes * 60; ++pages) {
      const UsageSums sums = wait(runtime_, server->usage.query({.organization = OrganizationId("org-1"),
                                                                 .width = UsageWidth::minute,
                                                                 .start = from,
                                                                 .end = base + minutes * 60,
                                                                 .group_by = {by},
                                                                 .most_results = most}));
      EXPECT_LE(sums.rows.size(), most);
      rows += static_cast<std::int64_t>(sums.rows.size());
      for (const UsageRow& row : sums.rows)
        requests += row.counts.requests;
      from = sums.end;
    }
    return std::vector{pages, rows, requests};
  };
  using Sums = std::vector<std::int64_t>;
  EXPECT_EQ(sums_of(UsageDimension::model, 100'000), (Sums{1, 12'000, 12'000}));
  EXPECT_EQ(sums_of(UsageDimension::model, 1'000), (Sums{14, 12'000, 12'000})) << "3 minutes each";
  EXPECT_EQ(sums_of(UsageDimension::project_id, 100'000), (Sums{1, 40, 12'000}));
  EXPECT_EQ(sums_of(UsageDimension::project_id, 7), (Sums{6, 40, 12'000}));
}

TEST_P(StoreConformance, PagesOfCostsAndLevelsEndEarlyToo) {
  const auto server = std::make_unique<Counting>(start());
  const auto spend = [&](int on, std::vector<std::string> projects) {
    UsageBatch batch;
    for (std::string& project : projects)
      batch.costs.push_back({series_of(project).tenant, base + on * day, "i", 1});
    wait(runtime_, server->usage.add(server->number(std::move(batch)), base));
  };
  spend(0, {"a", "b", "c"});
  spend(2, {"a"});
  spend(3, {"b", "c"});
  const UnixSeconds end = base + 5 * day;
  const auto costs = [&](std::size_t most, CostQuery::Group group) {
    return read_pages(base, end, [&](UnixSeconds from, std::string& text) {
      const CostSums sums = wait(runtime_, server->usage.query_costs({.organization = OrganizationId("org-1"),
                                                                      .start = from,
                                                                      .end = end,
                                                                      .group = group,
                                                                      .most_results = most}));
      for (const CostRow& row : sums.rows)
        text += std::to_string((row.bucket - base) / day) + row.project.value_or("*") + " ";
      return sums.end;
    });
  };
  EXPECT_EQ(costs(100, CostQuery::Group::project), "0a 0b 0c 2a 3b 3c ");
  EXPECT_EQ(costs(4, CostQuery::Group::project), "0a 0b 0c 2a | 3b 3c ");
  EXPECT_EQ(costs(2, CostQuery::Group::project), "0a 0b 0c | 2a | 3b 3c ");
  EXPECT_EQ(costs(2, CostQuery::Group::none), "0* 2* | 3* ");

  const auto set = [&](std::string project, std::int64_t bytes, int on) {
    wait(runtime_,
         server->process->database->write(db::WriteScope::everyone(), [&](db::Connection& connection) {
           Usage::set_vector_store_bytes_in(connection, series_of(project).tenant, bytes, base + on * day);
         }));
  };
  set("a", 1, -3);
  set("b", 2, 1);
  set("a", 0, 3);
  const auto levels = [&](std::size_t most, LevelQuery::Group group) {
    return read_pages(base, end, [&](UnixSeconds from, std::string& text) {
      const Levels found =
          wait(runtime_, server->usage.query_vector_store_bytes({.organization = OrganizationId("org-1"),
                                                                 .start = from,
                                                                 .end = end,
                                                                 .group = group,
                                                                 .most_results = most},
                                                                end));
      for (const LevelRow& row : found.rows)
        text +=
            std::to_string((row.bucket - base) / day) + row.project.str() + std::to_string(row.bytes) + " ";
      return found.end;
    });
  };
  EXPECT_EQ(levels(100, LevelQuery::Group::project), "0a1 1a1 1b2 2a1 2b2 3b2 4b2 ");
  EXPECT_EQ(levels(3, LevelQuery::Group::project), "0a1 1a1 1b2 | 2a1 2b2 3b2 | 4b2 ");
  EXPECT_EQ(levels(1, LevelQuery::Group::project), "0a1 | 1a1 1b2 | 2a1 2b2 | 3b2 | 4b2 ");
  EXPECT_EQ(levels(100, LevelQuery::Group::none), "01 13 23 32 42 ");
  EXPECT_EQ(levels(2, LevelQuery::Group::none), "01 13 | 23 32 | 42 ");
}

TEST_P(StoreConformance, KindsAndOrganizationsAreApart) {
  const auto server = std::make_unique<Counting>(start());
  UsageSeries images = series_of();
  images.kind = contract::UsageKind::images;
  images.source = "image.edit";
  images.size = "256x256";
  UsageSeries foreign = series_of();
  foreign.tenant.organization = OrganizationId("org-2");
  add(runtime_, *server, series_of(), base, {.requests = 1, .input_tokens = 1});
  add(runtime_, *server, images, base, {.requests = 1, .images = 3});
  add(runtime_, *server, foreign, base, {.requests = 1, .input_tokens = 100});
  auto rows = wait(runtime_, server->usage.query(days(base, 1))).rows;
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].counts, (UsageCounts{.requests = 1, .input_tokens = 1}));
  UsageQuery query = days(base, 1);
  query.kind = contract::UsageKind::images;
  query.group_by = {UsageDimension::source, UsageDimension::size};
  const UsageSums sums = wait(runtime_, server->usage.query(query));
  rows = sums.rows;
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].counts, (UsageCounts{.requests = 1, .images = 3}));
  EXPECT_EQ(sums.groups[rows[0].group][static_cast<std::size_t>(UsageDimension::source)], "image.edit");
  EXPECT_EQ(sums.groups[rows[0].group][static_cast<std::size_t>(UsageDimension::size)], "256x256");
  query.kind = contract::UsageKind::moderations;
  query.group_by.clear();
  EXPECT_TRUE(wait(runtime_, server->usage.query(query)).rows.empty());
}

TEST_P(StoreConformance, TwoProcessesAddToTheSameSeries) {
  const auto here = std::make_unique<Counting>(start());
  const auto there = std::make_unique<Counting>(start());
  for (Counting* server : {here.get(), there.get(), here.get()})
    add(runtime_, *server, series_of(), base, {.requests = 1});
  EXPECT_EQ(wait(runtime_, there->usage.query(days(base, 1))).rows[0].counts.requests, 3);
}

TEST_P(StoreConformance, AWriteThatFailsLeavesNothingBehind) {
  const auto server = std::make_unique<Counting>(start());
  // The last statement fails; the series was new.
  wait(runtime_, server->process->database->write(db::WriteScope::everyone(), [](db::Connection& connection) {
    connection.execute("DROP TABLE project_spending");
  }));
  UsageBatch batch = server->number({.usage = {{series_of(), base, {.requests = 1}}},
                                     .costs = {{series_of().tenant, base, "m, input", 5}}});
  EXPECT_THROW(wait(runtime_, server->usage.add(batch, base)), std::exception);
  EXPECT_TRUE(wait(runtime_, server->usage.query(days(base, 1))).rows.empty());
  batch.costs.clear();
  wait(runtime_, server->usage.add(batch, base));
  EXPECT_EQ(wait(runtime_, server->usage.query(days(base, 1))).rows[0].counts.requests, 1);
}

TEST_P(StoreConformance, ABatchThatIsAddedAgainCountsOnce) {
  const auto server = std::make_unique<Counting>(start());
  const Tenant tenant = series_of().tenant;
  const auto batch_of = [&](std::int64_t requests, Money cost) {
    return server->number({.usage = {{series_of(), base, {.requests = requests}}},
                           .costs = {{tenant, base, "m, input", cost}}});
  };
  const auto stored = [&] {
    return wait(runtime_, server->usage.query(days(base, 1))).rows[0].counts.requests;
  };
  const UsageBatch first = batch_of(1, 5);
  const UsageBatch second = batch_of(10, 50);
  EXPECT_EQ(wait(runtime_, server->usage.add(first, base))[0].amount, 5);
  EXPECT_EQ(wait(runtime_, server->usage.add(first, base))[0].amount, 5) << "what is spent, as before";
  EXPECT_EQ(stored(), 1);
  EXPECT_EQ(wait(runtime_, server->usage.add(second, base))[0].amount, 55);
  EXPECT_EQ(wait(runtime_, server->usage.add(first, base))[0].amount, 55) << "an older one too";
  EXPECT_EQ(stored(), 11);

  // The same number of another writer is another batch; and after a restart everybody knows this one still.
  const auto other = std::make_unique<Counting>(start());
  UsageBatch foreign = first;
  foreign.writer = other->writer;
  EXPECT_EQ(wait(runtime_, other->usage.add(foreign, base))[0].amount, 60);
  EXPECT_EQ(wait(runtime_, other->usage.add(second, base))[0].amount, 60);
  EXPECT_EQ(stored(), 12);
}

TEST_P(StoreConformance, WritersAreForgottenAfterAMonth) {
  const auto server = std::make_unique<Counting>(start());
  const auto add_as = [&](std::string writer, UnixSeconds now) {
    wait(runtime_, server->usage.add({.writer = std::move(writer), .number = 1}, now));
  };
  const auto writers = [&] {
    return wait(runtime_, server->process->database->read([](db::Connection& connection) {
      std::string names;
      for (const db::Row row : connection.query("SELECT writer FROM usage_writers ORDER BY writer"))
        names += row.get<std::string>(0) + " ";
      return names;
    }));
  };
  add_as("a", base);
  add_as("b", base + 1);
  add_as("c", base + 30 * day);
  EXPECT_EQ(writers(), "a b c ");
  add_as("d", base + 30 * day + 1);
  EXPECT_EQ(writers(), "b c d ");
}

TEST_P(StoreConformance, CostsByDayProjectAndLineItem) {
  const auto server = std::make_unique<Counting>(start());
  const Tenant a = series_of("proj_a").tenant;
  const Tenant b = series_of("proj_b").tenant;
  const auto spent =
      wait(runtime_, server->usage.add(server->number({.costs = {{a, base, "m, input", 100},
                                                                 {a, base + 5, "m, input", 20},
                                                                 {a, base, "m, output", 3},
                                                                 {b, base, "m, input", 1'000},
                                                                 {a, base + day, "m, input", 7}}}),
                                       base));
  ASSERT_EQ(spent.size(), 2u);
  EXPECT_EQ(spent[0].amount, 130);
  EXPECT_EQ(spent[1].amount, 1'000);
  const auto costs = [&](CostQuery::Group group, std::vector<std::string> projects) {
    std::string text;
    for (const CostRow& row : wait(runtime_, server->usage.query_costs({.organization = a.organization,
                                                                        .start = base,
                                                                        .end = base + 2 * day,
                                                                        .projects = std::move(projects),
                                                                        .group = group}))
                                  .rows) {
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

TEST_P(StoreConformance, SpendingIsByCalendarMonth) {
  EXPECT_EQ(month_of(1'772'323'199), 1'769'904'000);  // the last second of February 2026
  EXPECT_EQ(month_of(1'772'323'200), 1'772'323'200);
  const auto server = std::make_unique<Counting>(start());
  const Tenant tenant = series_of().tenant;
  wait(runtime_,
       server->usage.add(server->number({.costs = {{tenant, 1'772'323'199, "m, input", 5}}}), base));
  wait(runtime_,
       server->usage.add(server->number({.costs = {{tenant, 1'772'323'200, "m, input", 6}}}), base));
  EXPECT_EQ(wait(runtime_, server->budgets.spent(tenant, 1'769'904'000)), 5);
  EXPECT_EQ(wait(runtime_, server->budgets.spent(tenant, 1'772'323'200)), 6);
  EXPECT_EQ(wait(runtime_, server->budgets.spent(series_of("proj_b").tenant, 1'772'323'200)), 0);
}

TEST_P(StoreConformance, BudgetsOfProjects) {
  const auto server = std::make_unique<Counting>(start());
  const FakeClock clock;
  const Tenant tenant = add_project(*server->process, OrganizationId("org-1"));
  EXPECT_FALSE(wait(runtime_, server->budgets.find(tenant)).has_value());
  wait(runtime_, server->budgets.set(tenant, {to_money(12.5)}, clock));
  EXPECT_EQ(wait(runtime_, server->budgets.find(tenant))->amount, 12'500'000'000);
  EXPECT_FALSE(wait(runtime_, server->budgets.find({OrganizationId("org-2"), tenant.project})).has_value());
  wait(runtime_, server->budgets.set(tenant, {}, clock));
  EXPECT_EQ(wait(runtime_, server->budgets.find(tenant))->amount, std::nullopt);
  EXPECT_TRUE(wait(runtime_, server->budgets.reset(tenant)));
  EXPECT_FALSE(wait(runtime_, server->budgets.reset(tenant)));
  EXPECT_FALSE(wait(runtime_, server->budgets.find(tenant)).has_value());
}

TEST_P(StoreConformance, VectorStoresAreALevel) {
  const auto server = std::make_unique<Counting>(start());
  const auto set = [&](std::string project, std::int64_t bytes, UnixSeconds at) {
    wait(runtime_,
         server->process->database->write(db::WriteScope::everyone(), [&](db::Connection& connection) {
           Usage::set_vector_store_bytes_in(connection, series_of(project).tenant, bytes, at);
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
         wait(runtime_, server->usage.query_vector_store_bytes({.organization = OrganizationId("org-1"),
                                                                .start = base - day,
                                                                .end = base + 4 * day,
                                                                .projects = std::move(projects)},
                                                               now))
             .rows) {
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

}  // namespace
}  // namespace hearth::store
