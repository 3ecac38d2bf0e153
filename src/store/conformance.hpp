// What the store's conformance tests share: a server's worth of aggregates on a database of their own. Each
// TEST_P(StoreConformance, …), in whatever file, runs on every engine.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "base/api_error.hpp"
#include "db/test_database.hpp"
#include "store/bootstrap.hpp"
#include "store/certificates.hpp"
#include "store/chat_completions.hpp"
#include "store/invites.hpp"
#include "store/key_directory.hpp"
#include "store/keys.hpp"
#include "store/models.hpp"
#include "store/organizations.hpp"
#include "store/project_users.hpp"
#include "store/projects.hpp"
#include "store/schema.hpp"
#include "store/service_accounts.hpp"
#include "store/users.hpp"

namespace hearth::store {

// One server process on the database.
struct Server {
  std::unique_ptr<db::Database> database;
  AccessEpoch epoch{*database};
  Keys keys;
  Organizations organizations{*database};
  Projects projects;
  Users users;
  Invites invites;
  ProjectUsers members;
  ServiceAccounts accounts;
  KeyDirectory directory;
  Certificates certificates;
  ChatCompletions completions{*database};
  Models models{*database};

  Server(std::unique_ptr<db::Driver> driver, const Clock& clock, IdSource& ids)
      : database(open_database(std::move(driver))),
        keys(*database, clock, ids),
        projects(*database, clock, ids),
        users(*database, clock, ids),
        invites(*database, clock, ids),
        members(*database, clock, ids),
        accounts(*database, clock, ids),
        directory(*database, keys, clock, ids),
        certificates(*database, clock, ids) {}

  // As a request finds it: under the access epoch of now.
  Task<std::shared_ptr<const contract::Principal>> find_key(std::string_view secret) {
    co_return co_await keys.find_by_secret(secret, co_await epoch.current());
  }
};

// "code param" of the ApiError that the work ends with; "" when it ends well.
template <class Work>
Task<std::string> refusal(Work work) {
  try {
    co_await work();
  } catch (const ApiError& error) {
    co_return error.code().value_or("") + " " + error.param().value_or("");
  }
  co_return std::string();
}

// The rule that forbade it; nullopt when none did.
template <class T>
Task<std::optional<Rule>> broken_by(Task<Outcome<T>> task) {
  const Outcome<T> outcome = co_await std::move(task);
  co_return outcome ? std::nullopt : std::optional(outcome.error().rule);
}

using Types = std::vector<std::string>;

// The types of the audit log's events, in their order.
inline Task<Types> events(Server& server) {
  co_return co_await server.database->read([](db::Connection& connection) {
    Types all;
    for (const db::Row row : connection.query("SELECT type FROM audit_logs ORDER BY sequence"))
      all.push_back(row.get<std::string>(0));
    return all;
  });
}

class StoreConformance : public testing::TestWithParam<db::Engine> {
 protected:
  void SetUp() override { HEARTH_SKIP_WITHOUT(GetParam()); }

  std::unique_ptr<Server> start() { return std::make_unique<Server>(place_.open(), clock_, ids_); }
  void run(Task<void> task) { runtime_.run_until_complete(std::move(task)); }

  // Bootstraps and returns the tenant of the default project.
  Tenant make_tenant(Server& server) {
    Tenant tenant;
    run([](Server& s, FakeClock& clock, IdSource& ids, Tenant& out) -> Task<void> {
      const auto made = co_await bootstrap(*s.database, clock, ids);
      EXPECT_TRUE(made.has_value());
      if (made) out = {made->organization, made->project};
    }(server, clock_, ids_, tenant));
    return tenant;
  }

  // A service account of the tenant's project.
  std::string add_account(Server& server, const Tenant& tenant) {
    const std::string id = ids_.make("svc_acct_");
    run([](Server& s, const Tenant& t, const std::string& account) -> Task<void> {
      co_await s.database->write(db::WriteScope::everyone(), [&](db::Connection& connection) {
        connection.execute(
            "INSERT INTO service_accounts (id, organization_id, project_id, name, role, created_at, "
            "sequence) "
            "VALUES ($1, $2, $3, 'x', 'member', 1, 1)",
            {account, t.organization, t.project});
      });
    }(server, tenant, id));
    return id;
  }
  NewKey key_of(Server& server, const Tenant& tenant, KeyKind kind = KeyKind::project,
                std::string name = "k") {
    return {tenant.organization,        tenant.project, kind, std::move(name), OwnerKind::service_account,
            add_account(server, tenant)};
  }

  // The actor who changes things in these tests.
  Actor act_for(const Tenant& tenant) {
    return {.organization = tenant.organization,
            .key = KeyId("key_test"),
            .owner_kind = OwnerKind::service_account,
            .id = "svc_acct_test",
            .address = "192.0.2.1",
            .user_agent = "test"};
  }

  // Another project of the same organization, and one of another.
  Tenant add_project(Server& server, OrganizationId organization) {
    Tenant tenant{organization, ProjectId(ids_.make("proj_"))};
    run([](Server& s, const Tenant& t) -> Task<void> {
      co_await s.database->write(db::WriteScope::everyone(), [&t](db::Connection& connection) {
        connection.execute(
            "INSERT INTO organizations (id, name, created_at) VALUES ($1, 'x', 1) ON CONFLICT (id) DO "
            "NOTHING",
            {t.organization});
        connection.execute(
            "INSERT INTO projects (id, organization_id, name, status, is_default, created_at) "
            "VALUES ($1, $2, 'x', 'active', 0, 1)",
            {t.project, t.organization});
      });
    }(server, tenant));
    return tenant;
  }

  db::TestDatabase place_{GetParam()};
  FakeClock clock_;
  IdSource ids_{clock_};
  async::Runtime runtime_{1};
};

}  // namespace hearth::store
