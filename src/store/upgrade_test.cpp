// Databases of every version that was released, filled, are upgraded and go on. What a version held comes
// from migrations/fixtures/: each file fills the tables that its version added or changed.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "store/budgets.hpp"
#include "store/conformance.hpp"
#include "store/rate_limits.hpp"
#include "store/sessions.hpp"
#include "store/usage.hpp"

namespace hearth::store {
namespace {

// What a migration changes of older rows on purpose; an empty column is the whole table.
struct Rewritten {
  int version;
  std::string_view table;
  std::string_view column;
};
constexpr std::array rewritten{
    Rewritten{2, "api_keys", "owner"},  // keys of nobody got a service account
    Rewritten{7, "epochs", ""},         // became access_epochs
};

using Cells = std::vector<db::Value>;

struct Content {
  std::vector<std::string> columns;
  std::vector<Cells> rows;
};

Content read(db::Session& session, const std::string& table, std::vector<std::string> columns) {
  Content content{std::move(columns), {}};
  for (const db::Row row :
       session.query(fmt::format("SELECT {} FROM {}", fmt::join(content.columns, ", "), table))) {
    Cells& cells = content.rows.emplace_back();
    for (std::size_t i = 0; i < content.columns.size(); ++i)
      cells.push_back(row.cell(i));
  }
  return content;
}

class Upgrade : public testing::TestWithParam<std::tuple<db::Engine, int>> {
 protected:
  void SetUp() override { HEARTH_SKIP_WITHOUT(std::get<0>(GetParam())); }
  int version() const { return std::get<1>(GetParam()); }

  // A database as a server of that version left it.
  void fill() {
    const auto driver = place_.open();
    for (int step = 1; step <= version(); ++step) {
      db::migrate(*driver, migrations().first(static_cast<std::size_t>(step)));
      const auto file = std::filesystem::path(HEARTH_MIGRATION_FIXTURES) / fmt::format("{:04}.sql", step);
      std::ifstream stream(file);
      ASSERT_TRUE(stream) << "each migration comes with " << file;
      std::stringstream sql;
      sql << stream.rdbuf();
      driver->connect(db::Access::write)->execute_script(sql.str());
    }
  }

  std::map<std::string, Content> read_all() {
    std::map<std::string, Content> all;
    const auto session = place_.open()->connect(db::Access::read);
    for (const db::Table& table : session->list_tables()) {
      if (table.name == db::migrations_table) continue;
      std::vector<std::string> kept;
      for (const std::string& column : table.columns)
        if (!is_rewritten(table.name, column)) kept.push_back(column);
      if (!is_rewritten(table.name, "")) all.emplace(table.name, read(*session, table.name, kept));
    }
    return all;
  }
  bool is_rewritten(std::string_view table, std::string_view column) const {
    return std::ranges::any_of(rewritten, [&](const Rewritten& one) {
      return one.version > version() && one.table == table && one.column == column;
    });
  }

  db::TestDatabase place_{std::get<0>(GetParam())};
  FakeClock clock_;
  IdSource ids_{clock_};
  async::Runtime runtime_{1};
};

// What the stores make of the rows, by the version that they are of.
Task<void> use_foundation(Server& s, const Tenant& own) {
  const auto key = co_await s.find_key("sk-proj-upgrade-1");
  EXPECT_TRUE(key && key->organization == own.organization && key->project == own.project);
  if (key) {
    EXPECT_EQ(key->owner.name, "Bootstrap");
    EXPECT_EQ(key->owner.role, contract::OrganizationRole::owner);
  }
  EXPECT_NE(co_await s.find_key("sk-admin-upgrade-1"), nullptr);
  EXPECT_EQ(co_await s.find_key("sk-proj-revoked-1"), nullptr);
  EXPECT_EQ((co_await s.organizations.find_first())->name, "First");
  const auto projects = co_await s.projects.list(own.organization, ProjectsShown::all, {});
  EXPECT_EQ(projects.items.size(), 2u);
  EXPECT_EQ((co_await s.projects.get_default(own.organization)).id, own.project);
  const auto listed =
      co_await s.completions.list(own, {.model = std::nullopt, .metadata = {{"env", "a"}}}, {});
  EXPECT_EQ(listed.items.size(), 1u);
  const auto stored = co_await s.completions.get(own, CompletionId("chatcmpl-1"));
  EXPECT_TRUE(stored && stored->request == R"({"temperature":1})" &&
              stored->metadata == (Metadata{{"env", "a"}, {"note", "\u00e9 \u2603"}}));
  const auto messages = co_await s.completions.list_messages(own, CompletionId("chatcmpl-1"), {});
  EXPECT_TRUE(messages && messages->items.size() == 2);
  co_await s.completions.create(own, {{.id = CompletionId("chatcmpl-new"),
                                       .created_at = 1'700'001'000,
                                       .model = "tiny",
                                       .request = "{}",
                                       .response = "{}",
                                       .metadata = {}},
                                      {}});
  const auto all = co_await s.completions.list(own, {}, {});
  EXPECT_EQ(all.items.back().id.str(), "chatcmpl-new") << "the sequence goes on";
  EXPECT_EQ((co_await s.models.list()).size(), 2u);
  EXPECT_EQ((co_await s.models.list_aliases()).size(), 1u);
}

Task<void> use_people(Server& s, const Clock& clock, IdSource& ids, const Tenant& own) {
  const auto key = co_await s.find_key("sk-proj-upgrade-2");
  EXPECT_TRUE(key && key->owner.email == "bob@example.org");
  EXPECT_EQ((co_await s.users.list(own.organization, {}, {})).items.size(), 2u);
  EXPECT_TRUE((co_await s.users.find_by_email(own.organization, "ada@example.org")).has_value());
  const auto invite = co_await s.invites.find_by_token("invite-token-2");
  EXPECT_TRUE(invite && invite->projects.size() == 1);
  Sessions sessions(*s.database, clock, ids);
  EXPECT_TRUE((co_await sessions.find("session-token-2")).has_value());
  EXPECT_TRUE((co_await sessions.find_reset("reset-token-2")).has_value());
  EXPECT_EQ((co_await s.accounts.get(own, ServiceAccountId("svc_acct_ci"))).name, "CI");
  EXPECT_GE(co_await s.epoch.read(), 41u) << "no cache may take its entries for newer ones";
}

Task<void> use_usage(Server& s, const Tenant& own) {
  constexpr UnixSeconds day = 1'699'920'000;
  Usage usage(*s.database);
  for (const UsageWidth width : {UsageWidth::minute, UsageWidth::hour, UsageWidth::day}) {
    const auto sums = co_await usage.query(
        {.organization = own.organization, .width = width, .start = day, .end = day + seconds_of(width)});
    EXPECT_TRUE(sums.rows.size() == 1 && sums.rows[0].counts.input_tokens == 30);
  }
  const auto costs = co_await usage.query_costs(
      {.organization = own.organization, .start = day, .end = day + seconds_of(UsageWidth::day)});
  EXPECT_TRUE(costs.rows.size() == 1 && costs.rows[0].amount == 700);
  Budgets budgets(*s.database);
  const auto budget = co_await budgets.find(own);
  EXPECT_TRUE(budget && budget->amount == 5'000'000'000);
  EXPECT_EQ(co_await budgets.spent(own, month_of(day)), 700);
  // A new series gets a number of its own.
  const UsageSeries series{.tenant = own, .model = "large"};
  co_await usage.add({.writer = "writer_2", .number = 1, .usage = {{series, day, {.requests = 4}}}}, day);
  const auto sums = co_await usage.query(
      {.organization = own.organization, .start = day, .end = day + seconds_of(UsageWidth::day)});
  EXPECT_TRUE(sums.rows.size() == 1 && sums.rows[0].counts.requests == 7);
}

TEST_P(Upgrade, KeepsEveryRowAndGoesOn) {
  ASSERT_NO_FATAL_FAILURE(fill());
  const auto before = read_all();
  for (const auto& [name, content] : before)
    EXPECT_FALSE(content.rows.empty()) << "nothing fills " << name;
  Server server(place_.open(), clock_, ids_);
  const auto session = place_.open()->connect(db::Access::read);
  EXPECT_EQ(db::schema_version(*session), migrations().back().version);
  for (const auto& [name, content] : before) {
    const Content after = read(*session, name, content.columns);
    for (const Cells& row : content.rows)
      EXPECT_EQ(std::ranges::count(after.rows, row), 1) << "a row of " << name;
  }
  const Tenant own{OrganizationId("org-first"), ProjectId("proj_default")};
  const auto use = [](Server& s, FakeClock& clock, IdSource& ids, Tenant tenant, int from) -> Task<void> {
    co_await use_foundation(s, tenant);
    if (from >= 2) co_await use_people(s, clock, ids, tenant);
    if (from >= 3) {
      AuditLogs logs(*s.database);
      const auto found = co_await logs.list(tenant.organization, {.resources = {"proj_default"}}, {});
      EXPECT_TRUE(found.items.size() == 1 && found.items[0].actor.email == "ada@example.org");
    }
    if (from >= 4) co_await use_usage(s, tenant);
    if (from >= 5) {
      const auto active = co_await s.certificates.read_active();
      EXPECT_TRUE(active.certificates.size() == 2 && active.certificates[0].for_organization &&
                  active.certificates[1].projects == std::vector{tenant.project});
    }
    if (from >= 6) {
      RateLimits limits(*s.database, clock, ids);
      const auto own_limits = co_await limits.find(tenant.project, "tiny", co_await s.epoch.current());
      EXPECT_TRUE(own_limits && own_limits->requests_per_minute == 60 &&
                  own_limits->requests_per_day == 1000 && !own_limits->tokens_per_minute);
    }
  };
  runtime_.run_until_complete(use(server, clock_, ids_, own, version()));
}

INSTANTIATE_TEST_SUITE_P(Engines, Upgrade,
                         testing::Combine(testing::ValuesIn(db::engines),
                                          testing::Range(1, migrations().back().version + 1)),
                         [](const auto& info) {
                           return fmt::format("{}_from_{}", db::name_of(std::get<0>(info.param)),
                                              std::get<1>(info.param));
                         });

}  // namespace
}  // namespace hearth::store
