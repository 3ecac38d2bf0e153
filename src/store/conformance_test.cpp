// What the store promises, on every engine: the first start, keys, completions, models.
#include "store/conformance.hpp"

#include <set>

#include <fmt/format.h>

#include "async/deadline.hpp"
#include "async/scope.hpp"
#include "base/api_error.hpp"

namespace hearth::store {
namespace {

using namespace std::chrono_literals;

NewChatCompletion make_completion(std::string id, UnixSeconds created_at, std::string model = "tiny",
                                  Metadata metadata = {}) {
  return {{.id = CompletionId(std::move(id)),
           .created_at = created_at,
           .model = std::move(model),
           .request = R"({"temperature":1})",
           .response = R"({"choices":[]})",
           .metadata = std::move(metadata)},
          {R"({"role":"user","content":"hi"})", R"({"role":"assistant","content":"ho"})"}};
}

std::vector<std::string> ids_of(const Page<ChatCompletionRecord>& page) {
  std::vector<std::string> ids;
  for (const auto& item : page.items)
    ids.push_back(item.id.str());
  return ids;
}

using Ids = std::vector<std::string>;

Task<bool> revoke(Server& server, const Clock& clock, OrganizationId organization, KeyId key) {
  co_return co_await server.database->write(db::WriteScope::everyone(), [&](db::Connection& connection) {
    return Keys::revoke_in(connection, clock, organization, key);
  });
}

TEST_P(StoreConformance, TheFirstStartMakesEverythingOnce) {
  const auto here = start();
  const auto there = start();
  run([](Server& a, Server& b, FakeClock& clock, IdSource& ids) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    std::vector<Bootstrap> made;
    const auto attempt = [](Server& s, const Clock& c, IdSource& i,
                            std::vector<Bootstrap>& out) -> Task<void> {
      if (auto result = co_await bootstrap(*s.database, c, i)) out.push_back(std::move(*result));
    };
    for (int i = 0; i < 4; ++i) {
      scope.spawn("here", attempt(a, clock, ids, made));
      scope.spawn("there", attempt(b, clock, ids, made));
    }
    co_await scope.join();
    EXPECT_EQ(made.size(), 1u);
    if (made.size() != 1) co_return;
    const Bootstrap& first = made[0];
    EXPECT_EQ((co_await b.organizations.find_first())->id, first.organization);
    EXPECT_EQ((co_await b.organizations.get(first.organization)).id, first.organization);
    EXPECT_EQ((co_await b.projects.get_default(first.organization)).id, first.project);
    const auto admin = co_await b.find_key(first.admin_key);
    const auto project = co_await b.find_key(first.project_key);
    EXPECT_TRUE(admin && admin->kind == KeyKind::admin && !admin->project);
    EXPECT_TRUE(project && project->kind == KeyKind::project && project->project == first.project);
    EXPECT_TRUE(first.admin_key.starts_with("sk-admin-"));
    EXPECT_TRUE(first.project_key.starts_with("sk-proj-"));
  }(*here, *there, clock_, ids_));
}

TEST_P(StoreConformance, OrganizationsAndProjectsAreFoundById) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const Tenant foreign = add_project(*server, OrganizationId("org-other"));
  run([](Server& s, Tenant own, Tenant other) -> Task<void> {
    EXPECT_TRUE((co_await s.organizations.find(own.organization)).has_value());
    EXPECT_FALSE((co_await s.organizations.find(OrganizationId("org-none"))).has_value());
    const auto project = co_await s.projects.find(own.organization, own.project);
    EXPECT_TRUE(project && project->is_default && project->status == ProjectStatus::active);
    EXPECT_FALSE((co_await s.projects.find(own.organization, other.project)).has_value());
  }(*server, tenant, foreign));
}

TEST_P(StoreConformance, KeysAreFoundByTheirSecretOnly) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own, NewKey key) -> Task<void> {
    const auto created = co_await s.keys.create(key);
    EXPECT_TRUE(created.secret.starts_with("sk-svcacct-"));
    EXPECT_GE(created.secret.size(), std::string_view("sk-svcacct-").size() + 48);
    for (int i = 0; i < 3; ++i) {
      const auto found = co_await s.find_key(created.secret);
      EXPECT_TRUE(found && found->key == created.record.id && found->kind == KeyKind::service_account &&
                  found->project == own.project && found->owner.id == key.owner);
    }
    EXPECT_EQ(co_await s.find_key(created.secret + "x"), nullptr);
    EXPECT_EQ(co_await s.find_key(""), nullptr);
    EXPECT_EQ(created.record.redacted_value.find(created.secret), std::string::npos);
    co_await s.database->read([&](db::Connection& connection) {
      for (const db::Row row : connection.query("SELECT hash, redacted_value FROM api_keys")) {
        EXPECT_EQ(row.get<std::string>(0).find(created.secret.substr(11)), std::string::npos);
        EXPECT_LT(row.get<std::string>(1).size(), 24u);
      }
    });
  }(*server, tenant, key_of(*server, tenant, KeyKind::service_account, "ci")));
}

// SQLite: at once. PostgreSQL: when the announcement has come.
Task<bool> gone_within_a_second(Server& server, std::string secret) {
  for (const auto end = std::chrono::steady_clock::now() + 1s; std::chrono::steady_clock::now() < end;) {
    if (!co_await server.find_key(secret)) co_return true;
    co_await async::sleep_for(5ms);
  }
  co_return false;
}

TEST_P(StoreConformance, ARevokedKeyIsGoneEverywhereAtOnce) {
  const auto here = start();
  const auto there = start();
  const Tenant tenant = make_tenant(*here);
  run([](Server& a, Server& b, Tenant own, NewKey wanted, FakeClock& clock) -> Task<void> {
    const auto key = co_await a.keys.create(wanted);
    EXPECT_NE(co_await a.find_key(key.secret), nullptr);
    EXPECT_NE(co_await b.find_key(key.secret), nullptr);
    EXPECT_FALSE(co_await revoke(a, clock, OrganizationId("org-other"), key.record.id));
    EXPECT_NE(co_await b.find_key(key.secret), nullptr);
    EXPECT_TRUE(co_await revoke(a, clock, own.organization, key.record.id));
    EXPECT_EQ(co_await a.find_key(key.secret), nullptr);
    EXPECT_TRUE(co_await gone_within_a_second(b, key.secret));
    EXPECT_EQ(co_await b.find_key(key.secret), nullptr);
    EXPECT_EQ(co_await a.find_key(key.secret), nullptr);
    EXPECT_FALSE(co_await revoke(a, clock, own.organization, key.record.id));
  }(*here, *there, tenant, key_of(*here, tenant), clock_));
}

// A change of an organization as administrators make it.
Task<void> advance(Server& server, OrganizationId organization) {
  co_await server.database->write(
      organization, [&](db::Connection& connection) { AccessEpoch::advance_in(connection, organization); });
}

TEST_P(StoreConformance, AllWhoAskForTheEpochAfterAChangeLearnOfIt) {
  const auto server = start();
  run([](Server& s) -> Task<void> {
    const auto ask = [](Server& asked, std::uint64_t least, int& answers) -> Task<void> {
      EXPECT_GE(co_await asked.epoch.read(), least);
      ++answers;
    };
    async::Scope scope(co_await boost::asio::this_coro::executor);
    std::uint64_t epoch = co_await s.epoch.read();
    // PostgreSQL: what is announced late makes it unknown once more, never wrong.
    EXPECT_EQ(s.epoch.find_current().value_or(epoch), epoch);
    int answers = 0;
    for (int round = 0; round < 20; ++round) {
      co_await advance(s, OrganizationId(round % 2 == 0 ? "org-a" : "org-b"));
      ++epoch;
      // Some share a read that began before the next round's change: they must not answer for it.
      for (int i = 0; i < 8; ++i)
        scope.spawn("ask", ask(s, epoch, answers));
    }
    co_await scope.join();
    EXPECT_EQ(answers, 160);
    EXPECT_EQ(co_await s.epoch.read(), epoch);
  }(*server));
}

// SQLite: at once. PostgreSQL: when the announcement has come.
Task<bool> knows_within_a_second(Server& server, std::uint64_t epoch) {
  for (const auto end = std::chrono::steady_clock::now() + 1s; std::chrono::steady_clock::now() < end;) {
    if (co_await server.epoch.read() >= epoch) co_return true;
    co_await async::sleep_for(2ms);
  }
  co_return false;
}

TEST_P(StoreConformance, TheEpochIsNeverOldWhileBothWrite) {
  const auto here = start();
  const auto there = start();
  const Tenant tenant = make_tenant(*here);
  run([](Server& a, Server& b, Tenant own, bool announced_late) -> Task<void> {
    const auto write_quietly = [](Server& s, Tenant t, int round, int i) -> Task<void> {
      co_await s.completions.create(t, make_completion(fmt::format("q{}-{}", round, i), 7));
    };
    std::uint64_t epoch = co_await a.epoch.read();
    async::Scope scope(co_await boost::asio::this_coro::executor);
    for (int round = 0; round < 30; ++round) {
      for (int i = 0; i < 4; ++i)
        scope.spawn("quiet", write_quietly(a, own, round, i));
      co_await advance(b, own.organization);
      ++epoch;
      EXPECT_GE(co_await b.epoch.read(), epoch) << "whoever made the change knows it";
      if (announced_late) {
        EXPECT_TRUE(co_await knows_within_a_second(a, epoch)) << "round " << round;
      } else {
        EXPECT_GE(a.epoch.find_current().value_or(epoch), epoch);
        EXPECT_GE(co_await a.epoch.read(), epoch);
      }
    }
    co_await scope.join();
    EXPECT_EQ(co_await a.epoch.read(), epoch);
    EXPECT_EQ(co_await b.epoch.read(), epoch);
    co_await advance(a, own.organization);
    EXPECT_GE(co_await a.epoch.read(), epoch + 1);
    if (announced_late) co_return;
    // What this server writes without advancing it costs no read.
    co_await write_quietly(a, own, 30, 0);
    EXPECT_EQ(a.epoch.find_current(), epoch + 1);
    co_await advance(a, own.organization);
    EXPECT_FALSE(a.epoch.find_current().has_value());
  }(*here, *there, tenant, GetParam() == db::Engine::postgres));
}

TEST_P(StoreConformance, KeysOfAnArchivedProjectDoNotOpen) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own, NewKey wanted) -> Task<void> {
    const auto key = co_await s.keys.create(wanted);
    EXPECT_NE(co_await s.find_key(key.secret), nullptr);
    co_await s.database->write(db::WriteScope::everyone(), [&](db::Connection& connection) {
      connection.execute("UPDATE projects SET status = 'archived' WHERE id = $1", {own.project});
      AccessEpoch::advance_in(connection, own.organization);
    });
    EXPECT_EQ(co_await s.find_key(key.secret), nullptr);
  }(*server, tenant, key_of(*server, tenant)));
}

TEST_P(StoreConformance, KeyUsesAreWrittenInBatches) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own, NewKey wanted, FakeClock& clock) -> Task<void> {
    const auto key = co_await s.keys.create(wanted);
    const auto writes = [&s] { return s.database->counters().writes; };
    const auto before = writes();
    for (int i = 0; i < 50; ++i)
      co_await s.find_key(key.secret);
    EXPECT_EQ(writes(), before);
    co_await s.keys.flush_uses();
    EXPECT_EQ(writes(), before + 1);
    EXPECT_EQ((co_await s.directory.get(own, key.record.id)).last_used_at, clock.unix_now());
    co_await s.keys.flush_uses();  // used again within the minute: nothing to write
    EXPECT_EQ(writes(), before + 1);
    clock.advance(61s);
    co_await s.find_key(key.secret);
    co_await s.keys.flush_uses();
    EXPECT_EQ(writes(), before + 2);
    EXPECT_EQ((co_await s.directory.get(own, key.record.id)).last_used_at, clock.unix_now());
  }(*server, tenant, key_of(*server, tenant), clock_));
}

TEST_P(StoreConformance, ACompletionIsKeptAsItWas) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own) -> Task<void> {
    const Metadata metadata{{"z", "1"}, {"a", "quote \" and \xc3\xa9"}};
    co_await s.completions.create(own, make_completion("c1", 100, "tiny", metadata));
    const auto found = co_await s.completions.get(own, CompletionId("c1"));
    EXPECT_TRUE(found.has_value());
    if (!found) co_return;
    EXPECT_EQ(found->created_at, 100);
    EXPECT_EQ(found->model, "tiny");
    EXPECT_EQ(found->request, R"({"temperature":1})");
    EXPECT_EQ(found->response, R"({"choices":[]})");
    EXPECT_EQ(found->metadata, metadata);
    bool conflict = false;
    try {
      co_await s.completions.create(own, make_completion("c1", 100));
    } catch (const db::Error& error) {
      conflict = error.kind() == db::ErrorKind::constraint;
    }
    EXPECT_TRUE(conflict);
  }(*server, tenant));
}

TEST_P(StoreConformance, AnotherProjectsCompletionIsNotFound) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const Tenant neighbour = add_project(*server, tenant.organization);
  const Tenant stranger = add_project(*server, OrganizationId("org-other"));
  run([](Server& s, Tenant own, std::vector<Tenant> others) -> Task<void> {
    const CompletionId id("c1");
    co_await s.completions.create(own, make_completion("c1", 100, "tiny", {{"k", "v"}}));
    others.push_back({own.organization, others[1].project});
    others.push_back({others[1].organization, own.project});
    for (const Tenant& other : others) {
      EXPECT_FALSE((co_await s.completions.get(other, id)).has_value());
      EXPECT_FALSE((co_await s.completions.update_metadata(other, id, {{"k", "stolen"}})).has_value());
      EXPECT_FALSE((co_await s.completions.list_messages(other, id, {})).has_value());
      EXPECT_FALSE(co_await s.completions.remove(other, id));
      EXPECT_TRUE((co_await s.completions.list(other, {}, {})).items.empty());
    }
    EXPECT_EQ((co_await s.completions.get(own, id))->metadata, (Metadata{{"k", "v"}}));
  }(*server, tenant, {neighbour, stranger}));
}

TEST_P(StoreConformance, ListsByPagesInBothOrders) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const Tenant neighbour = add_project(*server, tenant.organization);
  run([](Server& s, Tenant own, Tenant other) -> Task<void> {
    // Several in one second: their order is that of their creation, not of their ids.
    for (const auto& [id, at] : std::vector<std::pair<std::string, UnixSeconds>>{
             {"e", 100}, {"d", 101}, {"b", 101}, {"c", 101}, {"a", 102}}) {
      co_await s.completions.create(own, make_completion(id, at));
      co_await s.completions.create(other, make_completion("other-" + id, at));
    }
    auto& list = s.completions;
    auto page = co_await list.list(own, {}, {.limit = 2});
    EXPECT_EQ(ids_of(page), (Ids{"e", "d"}));
    EXPECT_TRUE(page.has_more);
    page = co_await list.list(own, {}, {.after = "d", .limit = 2});
    EXPECT_EQ(ids_of(page), (Ids{"b", "c"}));
    EXPECT_TRUE(page.has_more);
    page = co_await list.list(own, {}, {.after = "c", .limit = 2});
    EXPECT_EQ(ids_of(page), (Ids{"a"}));
    EXPECT_FALSE(page.has_more);
    page = co_await list.list(own, {}, {.after = "a", .limit = 2});
    EXPECT_TRUE(page.items.empty());
    EXPECT_FALSE(page.has_more);
    page = co_await list.list(own, {}, {.limit = 5, .order = Order::descending});
    EXPECT_EQ(ids_of(page), (Ids{"a", "c", "b", "d", "e"}));
    EXPECT_FALSE(page.has_more);
    page = co_await list.list(own, {}, {.after = "c", .limit = 2, .order = Order::descending});
    EXPECT_EQ(ids_of(page), (Ids{"b", "d"}));
    // Before a place: what is nearest to it, in the list's order.
    page = co_await list.list(own, {}, {.limit = 2, .before = "a"});
    EXPECT_EQ(ids_of(page), (Ids{"b", "c"}));
    EXPECT_TRUE(page.has_more);
    page = co_await list.list(own, {}, {.limit = 2, .before = "b"});
    EXPECT_EQ(ids_of(page), (Ids{"e", "d"}));
    EXPECT_FALSE(page.has_more);
    page = co_await list.list(own, {}, {.limit = 2, .before = "e"});
    EXPECT_TRUE(page.items.empty());
    EXPECT_FALSE(page.has_more);
    page = co_await list.list(own, {}, {.limit = 2, .order = Order::descending, .before = "d"});
    EXPECT_EQ(ids_of(page), (Ids{"c", "b"}));
    EXPECT_TRUE(page.has_more);
    page = co_await list.list(own, {}, {.after = "e", .limit = 2, .before = "a"});
    EXPECT_EQ(ids_of(page), (Ids{"d", "b"}));
    EXPECT_TRUE(page.has_more);
    page = co_await list.list(own, {}, {.after = "b", .limit = 2, .before = "a"});
    EXPECT_EQ(ids_of(page), (Ids{"c"}));
    EXPECT_FALSE(page.has_more);
    page = co_await list.list(own, {}, {.after = "a", .limit = 2, .before = "e"});
    EXPECT_TRUE(page.items.empty());
    // What is deleted or added behind the cursor moves nothing.
    EXPECT_TRUE(co_await list.remove(own, CompletionId("d")));
    page = co_await list.list(own, {}, {.after = "b", .limit = 2});
    EXPECT_EQ(ids_of(page), (Ids{"c", "a"}));
    for (const std::string unknown : {"d", "nonsense", "other-b", ""}) {
      const PageRequest after{.after = unknown};
      const PageRequest before{.before = unknown};
      EXPECT_EQ(co_await refusal([&] { return list.list(own, {}, after); }), "invalid_value after")
          << unknown;
      EXPECT_EQ(co_await refusal([&] { return list.list(own, {}, before); }), "invalid_value before")
          << unknown;
    }
  }(*server, tenant, neighbour));
}

TEST_P(StoreConformance, FiltersByModelAndMetadata) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own) -> Task<void> {
    co_await s.completions.create(own, make_completion("c1", 1, "tiny", {{"env", "a"}, {"user", "x"}}));
    co_await s.completions.create(own, make_completion("c2", 2, "tiny", {{"env", "b"}, {"user", "x"}}));
    co_await s.completions.create(own, make_completion("c3", 3, "large", {{"env", "a"}}));
    co_await s.completions.create(own, make_completion("c4", 4, "tiny"));
    const auto list = [&](ChatCompletionFilter filter, PageRequest page = {}) -> Task<Ids> {
      co_return ids_of(co_await s.completions.list(own, std::move(filter), std::move(page)));
    };
    EXPECT_EQ(co_await list({}), (Ids{"c1", "c2", "c3", "c4"}));
    EXPECT_EQ(co_await list({.model = "tiny"}), (Ids{"c1", "c2", "c4"}));
    EXPECT_EQ(co_await list({.metadata = {{"env", "a"}}}), (Ids{"c1", "c3"}));
    EXPECT_EQ(co_await list({.metadata = {{"env", "a"}, {"user", "x"}}}), (Ids{"c1"}));
    EXPECT_EQ(co_await list({.model = "large", .metadata = {{"env", "a"}}}), (Ids{"c3"}));
    EXPECT_EQ(co_await list({.metadata = {{"env", "' OR 1=1 --"}}}), Ids{});
    EXPECT_EQ(co_await list({.model = "tiny"}, {.after = "c1"}), (Ids{"c2", "c4"}));

    const auto changed = co_await s.completions.update_metadata(own, CompletionId("c1"), {{"env", "z"}});
    EXPECT_TRUE(changed && changed->metadata == (Metadata{{"env", "z"}}));
    EXPECT_EQ(co_await list({.metadata = {{"env", "a"}}}), (Ids{"c3"}));
    EXPECT_EQ(co_await list({.metadata = {{"env", "z"}}}), (Ids{"c1"}));
    EXPECT_TRUE((co_await s.completions.update_metadata(own, CompletionId("c1"), {}))->metadata.empty());
    EXPECT_FALSE((co_await s.completions.update_metadata(own, CompletionId("c9"), {})).has_value());
  }(*server, tenant));
}

TEST_P(StoreConformance, ListsMessagesByPages) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own) -> Task<void> {
    auto completion = make_completion("c1", 1);
    completion.messages.clear();
    for (int i = 0; i < 12; ++i)
      completion.messages.push_back(fmt::format("{{\"n\":{}}}", i));
    co_await s.completions.create(own, completion);
    const CompletionId id("c1");
    auto page = co_await s.completions.list_messages(own, id, {.limit = 5});
    EXPECT_TRUE(page && page->items.size() == 5 && page->has_more);
    EXPECT_EQ(page->items.back().id, "c1-4");
    EXPECT_EQ(page->items.back().message, "{\"n\":4}");
    page = co_await s.completions.list_messages(own, id, {.after = "c1-9", .limit = 5});
    EXPECT_TRUE(page && page->items.size() == 2 && !page->has_more);
    EXPECT_EQ(page->items.front().id, "c1-10");
    page = co_await s.completions.list_messages(own, id, {.after = "c1-2", .order = Order::descending});
    EXPECT_TRUE(page && page->items.size() == 2);
    EXPECT_EQ(page->items.front().id, "c1-1");
    for (const std::string unknown : {"c1-12", "c1-", "c1--1", "c1-1x", "c2-1", "1"}) {
      bool refused = false;
      try {
        co_await s.completions.list_messages(own, id, {.after = unknown});
      } catch (const ApiError& error) {
        refused = error.status() == 400;
      }
      EXPECT_TRUE(refused) << unknown;
    }
    EXPECT_FALSE((co_await s.completions.list_messages(own, CompletionId("c2"), {})).has_value());
  }(*server, tenant));
}

TEST_P(StoreConformance, RemovingACompletionRemovesAllOfIt) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own) -> Task<void> {
    co_await s.completions.create(own, make_completion("c1", 1, "tiny", {{"k", "v"}}));
    EXPECT_TRUE(co_await s.completions.remove(own, CompletionId("c1")));
    EXPECT_FALSE(co_await s.completions.remove(own, CompletionId("c1")));
    EXPECT_FALSE((co_await s.completions.get(own, CompletionId("c1"))).has_value());
    const int left = co_await s.database->read([](db::Connection& connection) {
      return connection
          .query(
              "SELECT (SELECT COUNT(*) FROM chat_completion_messages) + "
              "(SELECT COUNT(*) FROM chat_completion_metadata)")[0]
          .get<int>(0);
    });
    EXPECT_EQ(left, 0);
  }(*server, tenant));
}

TEST_P(StoreConformance, ManyCreateAtOnceAcrossProcesses) {
  const auto here = start();
  const auto there = start();
  const Tenant tenant = make_tenant(*here);
  run([](Server& a, Server& b, Tenant own) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    for (int i = 0; i < 60; ++i) {
      scope.spawn("here", a.completions.create(own, make_completion(fmt::format("a{}", i), 7)));
      scope.spawn("there", b.completions.create(own, make_completion(fmt::format("b{}", i), 7)));
    }
    co_await scope.join();
    std::set<std::string> seen;
    PageRequest request{.limit = 7};
    for (int pages = 0; pages < 50; ++pages) {
      const auto page = co_await a.completions.list(own, {}, request);
      for (const auto& item : page.items)
        EXPECT_TRUE(seen.insert(item.id.str()).second);
      if (!page.has_more) break;
      request.after = page.items.back().id.str();
    }
    EXPECT_EQ(seen.size(), 120u);
  }(*here, *there, tenant));
}

TEST_P(StoreConformance, ModelsAndAliases) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const Tenant neighbour = add_project(*server, tenant.organization);
  run([](Server& s, Tenant own, Tenant other) -> Task<void> {
    Models& models = s.models;
    const ModelId shared("tiny");
    const ModelId tuned("ft:tiny:1");
    EXPECT_TRUE(co_await models.put({.id = shared, .spec = "{}", .created_at = 5}));
    EXPECT_TRUE(co_await models.put({.id = tuned,
                                     .tenant = own,
                                     .origin = ModelOrigin::fine_tuned,
                                     .spec = "{\"a\":1}",
                                     .created_at = 6}));
    EXPECT_TRUE(co_await models.put({.id = shared, .spec = "{\"b\":2}", .created_at = 9}));
    EXPECT_FALSE(co_await models.put({.id = tuned, .spec = "{}"}));  // another's
    const auto all = co_await models.list();
    EXPECT_EQ(all.size(), 2u);
    EXPECT_TRUE(all[0].id == tuned && all[0].tenant == own && all[0].origin == ModelOrigin::fine_tuned);
    EXPECT_TRUE(all[1].id == shared && !all[1].tenant && all[1].spec == "{\"b\":2}" &&
                all[1].created_at == 5);
    EXPECT_EQ((co_await models.find(tuned))->spec, "{\"a\":1}");
    EXPECT_FALSE((co_await models.find(ModelId("none"))).has_value());
    EXPECT_FALSE(co_await models.remove_fine_tuned(other, tuned));
    EXPECT_FALSE(co_await models.remove_fine_tuned(own, shared));
    EXPECT_TRUE(co_await models.remove_fine_tuned(own, tuned));
    EXPECT_TRUE(co_await models.remove(shared));
    EXPECT_FALSE(co_await models.remove(shared));

    co_await models.put_alias({"gpt-4o", "tiny"});
    co_await models.put_alias({"best", "tiny"});
    co_await models.put_alias({"gpt-4o", "large"});
    EXPECT_EQ(co_await models.list_aliases(),
              (std::vector<ModelAlias>{{"best", "tiny"}, {"gpt-4o", "large"}}));
    EXPECT_TRUE(co_await models.remove_alias("best"));
    EXPECT_FALSE(co_await models.remove_alias("best"));
  }(*server, tenant, neighbour));
}

TEST_P(StoreConformance, EverythingSurvivesARestart) {
  auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own) -> Task<void> {
    co_await s.completions.create(own, make_completion("c1", 1));
  }(*server, tenant));
  server.reset();
  server = start();
  run([](Server& s, Tenant own, FakeClock& clock, IdSource& ids) -> Task<void> {
    EXPECT_TRUE((co_await s.completions.get(own, CompletionId("c1"))).has_value());
    EXPECT_FALSE((co_await bootstrap(*s.database, clock, ids)).has_value());
  }(*server, tenant, clock_, ids_));
}

TEST_P(StoreConformance, ADatabaseOfANewerReleaseIsRefused) {
  auto server = start();
  run([](Server& s) -> Task<void> {
    co_await s.database->write(db::WriteScope::everyone(), [](db::Connection& connection) {
      connection.execute(
          "INSERT INTO schema_migrations (version, name, applied_at) VALUES (9999, 'future', 1)");
    });
  }(*server));
  server.reset();
  EXPECT_THROW(start(), db::Error);
}

INSTANTIATE_TEST_SUITE_P(Engines, StoreConformance, testing::ValuesIn(db::engines),
                         [](const auto& info) { return db::name_of(info.param); });

TEST(DataDirectory, IsMadeForItsOwnerOnly) {
  const db::TestDirectory directory;
  const auto path = directory.path() / "new" / "data";
  open_data_directory(path);
  open_data_directory(path);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_all);
  EXPECT_THROW(open_data_directory("/proc/none/data"), db::Error);
}

}  // namespace
}  // namespace hearth::store
