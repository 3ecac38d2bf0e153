#include "store/audit_logs.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "base/api_error.hpp"
#include "db/test_directory.hpp"
#include "store/schema.hpp"

namespace hearth::store {
namespace {

using Ids = std::vector<std::string>;
using namespace std::chrono_literals;

const OrganizationId ours("org-ours");

// 60 events, two in a second: e0 is the oldest.
class AuditLogsTest : public testing::Test {
 protected:
  AuditLogsTest() : database_(open_data_directory(directory_.path())), logs_(*database_) {
    runtime_.run_until_complete([](AuditLogsTest& test) -> Task<void> {
      for (int i = 0; i < 60; ++i) {
        co_await test.append(ours, i);
        if (i % 3 == 0) co_await test.append(OrganizationId("org-other"), i);
        if (i % 2 == 1) test.clock_.advance(1s);
      }
      const auto all = co_await test.logs_.list(ours, {}, {.limit = 100});
      for (const AuditLog& event : all.items)
        test.ids_in_order_.insert(test.ids_in_order_.begin(), event.id.str());
    }(*this));
  }

  Task<void> append(OrganizationId organization, int i) {
    const Actor actor{.organization = std::move(organization),
                      .type = i % 2 == 0 ? ActorType::session : ActorType::api_key,
                      .key = i % 2 == 0 ? std::nullopt : std::optional(KeyId("key_1")),
                      .owner_kind = contract::OwnerKind::user,
                      .id = fmt::format("user-{}", i % 4),
                      .email = fmt::format("person{}@example.org", i % 4),
                      .address = "192.0.2.1",
                      .user_agent = "test"};
    NewAuditLog event{.type = i % 5 == 0 ? "project.created" : "user.updated",
                      .project_name = "Name",
                      .resources = {fmt::format("thing-{}", i % 6), fmt::format("thing-{}", i % 7)},
                      .details = R"({"id":"x"})"};
    if (i % 3 != 0) event.project = ProjectId(fmt::format("proj_{}", i % 3));
    co_await database_->write(db::WriteScope::everyone(), [&](db::Connection& connection) {
      AuditLogs::append_in(connection, clock_, ids_, actor, event);
    });
  }

  Page<AuditLog> page(AuditLogFilter filter, AuditLogRange range = {.limit = 100}) {
    Page<AuditLog> out;
    runtime_.run_until_complete(
        [](AuditLogs& logs, AuditLogFilter f, AuditLogRange r, Page<AuditLog>& into) -> Task<void> {
          into = co_await logs.list(ours, std::move(f), std::move(r));
        }(logs_, std::move(filter), std::move(range), out));
    return out;
  }
  // The numbers of the events that were found, newest first.
  std::vector<int> found(AuditLogFilter filter, AuditLogRange range = {.limit = 100}) {
    std::vector<int> numbers;
    for (const AuditLog& event : page(std::move(filter), std::move(range)).items) {
      const auto at = std::ranges::find(ids_in_order_, event.id.str());
      numbers.push_back(static_cast<int>(at - ids_in_order_.begin()));
    }
    return numbers;
  }
  static std::vector<int> expected(auto holds) {
    std::vector<int> numbers;
    for (int i = 59; i >= 0; --i) {
      if (holds(i)) numbers.push_back(i);
    }
    return numbers;
  }

  db::TestDirectory directory_;
  FakeClock clock_;
  IdSource ids_{clock_};
  async::Runtime runtime_{1};
  std::unique_ptr<db::Database> database_;
  AuditLogs logs_;
  Ids ids_in_order_;
};

TEST_F(AuditLogsTest, KeepsWhoDidWhatFromWhere) {
  const auto events = page({}).items;
  ASSERT_EQ(events.size(), 60u);
  const AuditLog& by_key = events[0];  // number 59
  EXPECT_EQ(by_key.type, "user.updated");
  EXPECT_EQ(by_key.project, ProjectId("proj_2"));
  EXPECT_EQ(by_key.project_name, "Name");
  EXPECT_EQ(by_key.actor.type, ActorType::api_key);
  EXPECT_EQ(by_key.actor.key, KeyId("key_1"));
  EXPECT_EQ(by_key.actor.id, "user-3");
  EXPECT_EQ(by_key.actor.email, "person3@example.org");
  EXPECT_EQ(by_key.details, R"({"id":"x"})");
  const AuditLog& by_session = events[59];  // number 0
  EXPECT_EQ(by_session.actor.type, ActorType::session);
  EXPECT_FALSE(by_session.actor.key || by_session.project);
  EXPECT_EQ(by_session.actor.address, "192.0.2.1");
  EXPECT_EQ(by_session.actor.user_agent, "test");
}

TEST_F(AuditLogsTest, ValuesAreAlternativesAndListsHoldTogether) {
  EXPECT_EQ(found({}), expected([](int) { return true; }));
  EXPECT_EQ(found({.types = {"project.created"}}), expected([](int i) { return i % 5 == 0; }));
  EXPECT_EQ(found({.types = {"project.created", "user.updated", "user.added"}}), found({}));
  EXPECT_EQ(found({.projects = {"proj_1"}}), expected([](int i) { return i % 3 == 1; }));
  EXPECT_EQ(found({.projects = {"proj_1", "proj_2"}}), expected([](int i) { return i % 3 != 0; }));
  EXPECT_EQ(found({.actor_ids = {"user-1", "user-2"}}),
            expected([](int i) { return i % 4 == 1 || i % 4 == 2; }));
  EXPECT_EQ(found({.actor_emails = {"person3@example.org"}}), expected([](int i) { return i % 4 == 3; }));
  EXPECT_EQ(found({.resources = {"thing-6"}}), expected([](int i) { return i % 7 == 6; }));
  EXPECT_EQ(found({.resources = {"thing-1", "thing-2"}}),
            expected([](int i) { return i % 6 == 1 || i % 6 == 2 || i % 7 == 1 || i % 7 == 2; }));
  EXPECT_EQ(found({.projects = {"proj_1"}, .types = {"project.created"}}),
            expected([](int i) { return i % 3 == 1 && i % 5 == 0; }));
  EXPECT_EQ(found({.types = {"user.updated"}, .actor_ids = {"user-0", "user-1"}}),
            expected([](int i) { return i % 5 != 0 && i % 4 < 2; }));
  EXPECT_EQ(found({.types = {"user.updated"}, .resources = {"thing-3"}}),
            expected([](int i) { return i % 5 != 0 && (i % 6 == 3 || i % 7 == 3); }));
  EXPECT_EQ(found({.projects = {"proj_1", "proj_2"},
                   .types = {"user.updated"},
                   .actor_ids = {"user-1", "user-3"},
                   .actor_emails = {"person1@example.org", "person2@example.org"},
                   .resources = {"thing-1", "thing-5"}}),
            expected([](int i) {
              const bool resource = i % 6 == 1 || i % 6 == 5 || i % 7 == 1 || i % 7 == 5;
              return i % 3 != 0 && i % 5 != 0 && i % 4 == 1 && resource;
            }));
  EXPECT_TRUE(found({.types = {"' OR 1=1 --"}}).empty());
}

TEST_F(AuditLogsTest, TimesAreInclusive) {
  const UnixSeconds start = page({}).items.back().effective_at;
  const auto second = [](int i) { return i / 2; };
  EXPECT_EQ(found({.from = start + 10}), expected([&](int i) { return second(i) >= 10; }));
  EXPECT_EQ(found({.to = start + 10}), expected([&](int i) { return second(i) <= 10; }));
  EXPECT_EQ(found({.from = start + 3, .to = start + 3, .types = {"user.updated"}}),
            expected([&](int i) { return second(i) == 3 && i % 5 != 0; }));
  EXPECT_TRUE(found({.from = start + 4, .to = start + 3}).empty());
}

TEST_F(AuditLogsTest, PagesInBothDirections) {
  const AuditLogFilter odd{.types = {"user.updated"}};
  const auto all = found(odd);
  const auto id = [this](int number) { return ids_in_order_[static_cast<std::size_t>(number)]; };
  const auto slice = [&](std::size_t from, std::size_t count) {
    return std::vector<int>(all.begin() + static_cast<std::ptrdiff_t>(from),
                            all.begin() + static_cast<std::ptrdiff_t>(from + count));
  };
  EXPECT_EQ(found(odd, {.limit = 7}), slice(0, 7));
  EXPECT_TRUE(page(odd, {.limit = 7}).has_more);
  EXPECT_EQ(found(odd, {.after = id(all[6]), .limit = 7}), slice(7, 7));
  EXPECT_EQ(found(odd, {.before = id(all[14]), .limit = 7}), slice(7, 7));
  EXPECT_EQ(found(odd, {.before = id(all[3]), .limit = 7}), slice(0, 3));
  EXPECT_FALSE(page(odd, {.before = id(all[3]), .limit = 7}).has_more);
  EXPECT_TRUE(page(odd, {.before = id(all[14]), .limit = 7}).has_more);
  EXPECT_EQ(found(odd, {.after = id(all[6]), .before = id(all[10]), .limit = 7}), slice(7, 3));
  EXPECT_TRUE(found(odd, {.after = id(0)}).empty());
  EXPECT_TRUE(found(odd, {.before = id(59)}).empty());
  for (const char* param : {"after", "before"}) {
    for (const std::string unknown : {"", "audit_log-nothing"}) {
      bool refused = false;
      try {
        AuditLogRange range;
        (std::string_view(param) == "after" ? range.after : range.before) = unknown;
        page({}, range);
      } catch (const ApiError& error) {
        refused = error.status() == 400 && error.param() == param;
      }
      EXPECT_TRUE(refused) << param << ' ' << unknown;
    }
  }
}

}  // namespace
}  // namespace hearth::store
