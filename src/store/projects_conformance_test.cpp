// What the store promises about projects, their service accounts, and keys as administrators see them.
#include "store/conformance.hpp"

namespace hearth::store {
namespace {

using contract::OrganizationRole;
using contract::ProjectRole;

TEST_P(StoreConformance, ProjectsAreMadeRenamedAndClosed) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const Tenant foreign = add_project(*server, OrganizationId("org-other"));
  run([](Server& s, Tenant own, Tenant other, Actor actor) -> Task<void> {
    auto& projects = s.projects;
    const Project first = co_await projects.create(actor, "First");
    const Project second = co_await projects.create(actor, " two words ");
    EXPECT_EQ((co_await projects.get(own.organization, second.id)).name, " two words ");
    EXPECT_EQ((co_await projects.rename(actor, first.id, "Renamed")).name, "Renamed");
    EXPECT_EQ((co_await projects.rename(actor, first.id, "Renamed")).name, "Renamed");
    EXPECT_EQ(co_await refusal([&] { return projects.rename(actor, own.project, "x"); }),
              "default_project project_id");
    EXPECT_EQ(co_await refusal([&] { return projects.archive(actor, own.project); }),
              "default_project project_id");
    EXPECT_EQ(co_await refusal([&] { return projects.rename(actor, other.project, "x"); }),
              "not_found project_id");
    EXPECT_EQ(co_await refusal([&] { return projects.archive(actor, other.project); }),
              "not_found project_id");

    const Project closed = co_await projects.archive(actor, first.id);
    EXPECT_TRUE(closed.status == ProjectStatus::archived && closed.archived_at);
    EXPECT_EQ((co_await projects.archive(actor, first.id)).archived_at, closed.archived_at);
    EXPECT_EQ(co_await refusal([&] { return projects.rename(actor, first.id, "x"); }),
              "project_archived project_id");

    auto page = co_await projects.list(own.organization, ProjectsShown::active, {});
    EXPECT_TRUE(page.items.size() == 2 && page.items[0].is_default && page.items[1].id == second.id);
    page = co_await projects.list(own.organization, ProjectsShown::all,
                                  {.after = own.project.str(), .limit = 1});
    EXPECT_TRUE(page.has_more && page.items[0].id == first.id);
    EXPECT_EQ(co_await refusal([&] {
                return projects.list(own.organization, ProjectsShown::active, {.after = first.id.str()});
              }),
              "invalid_value after");
    EXPECT_EQ(co_await events(s),
              (Types{"project.created", "project.created", "project.updated", "project.archived"}));
  }(*server, tenant, foreign, act_for(tenant)));
}

TEST_P(StoreConformance, AServiceAccountHasAKeyUntilItIsDeleted) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const Tenant foreign = add_project(*server, OrganizationId("org-other"));
  run([](Server& s, Tenant own, Tenant other, Actor actor) -> Task<void> {
    const Project second = co_await s.projects.create(actor, "Second");
    const Tenant there{own.organization, second.id};
    const auto created = co_await s.accounts.create(actor, second.id, "robot");
    EXPECT_TRUE(created.key.secret.starts_with("sk-svcacct-"));
    const auto opened = co_await s.find_key(created.key.secret);
    EXPECT_TRUE(opened && opened->project == second.id && opened->owner.id == created.account.id.str() &&
                opened->owner.projects.at(second.id) == ProjectRole::member);
    EXPECT_EQ((co_await s.accounts.get(there, created.account.id)).name, "robot");
    EXPECT_EQ(co_await refusal([&] { return s.accounts.get(own, created.account.id); }),
              "not_found service_account_id");
    EXPECT_EQ(co_await refusal([&] { return s.accounts.remove(actor, own.project, created.account.id); }),
              "not_found service_account_id");
    EXPECT_EQ(co_await refusal([&] { return s.accounts.create(actor, other.project, "x"); }),
              "not_found project_id");
    const auto other_account = co_await s.accounts.create(actor, second.id, "other");
    auto page = co_await s.accounts.list(there, {.limit = 1});
    EXPECT_TRUE(page.has_more && page.items[0].id == created.account.id);
    page = co_await s.accounts.list(there, {.after = created.account.id.str()});
    EXPECT_TRUE(!page.has_more && page.items.size() == 1 && page.items[0].id == other_account.account.id);

    co_await s.accounts.remove(actor, second.id, created.account.id);
    EXPECT_EQ(co_await s.find_key(created.key.secret), nullptr);
    EXPECT_NE(co_await s.find_key(other_account.key.secret), nullptr);
    EXPECT_EQ(co_await events(s), (Types{"project.created", "service_account.created", "api_key.created",
                                         "service_account.created", "api_key.created", "api_key.deleted",
                                         "service_account.deleted"}));
    co_await s.projects.archive(actor, second.id);
    EXPECT_EQ(co_await s.find_key(other_account.key.secret), nullptr);
    EXPECT_EQ(co_await refusal([&] { return s.accounts.create(actor, second.id, "x"); }),
              "project_archived project_id");
    EXPECT_EQ(co_await refusal([&] { return s.accounts.list(there, {}); }), "project_archived project_id");
    EXPECT_EQ(co_await refusal([&] { return s.accounts.remove(actor, second.id, other_account.account.id); }),
              "project_archived project_id");
    EXPECT_EQ((co_await s.accounts.get(there, other_account.account.id)).name, "other");
  }(*server, tenant, foreign, act_for(tenant)));
}

TEST_P(StoreConformance, KeysOfAProjectAreListedWithTheirOwners) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own, Actor actor, FakeClock& clock) -> Task<void> {
    const Project second = co_await s.projects.create(actor, "Second");
    const Tenant there{own.organization, second.id};
    const auto robot = co_await s.accounts.create(actor, second.id, "robot");
    const User ada = co_await s.users.add(actor, {.email = "a@x.org", .name = "Ada"});
    co_await s.members.add(actor, second.id, ada.id, ProjectRole::owner);
    const auto minted = co_await s.keys.create(
        {own.organization, second.id, KeyKind::project, "Ada's", OwnerKind::user, ada.id.str()});
    co_await s.keys.create({own.organization, second.id, KeyKind::ephemeral, "e", OwnerKind::user,
                            ada.id.str(), clock.unix_now() + 60});

    auto page = co_await s.directory.list(there, {});
    EXPECT_EQ(page.items.size(), 2u);
    if (page.items.size() != 2) co_return;
    const ListedKey& first = page.items[0];
    EXPECT_TRUE(first.owner.kind == OwnerKind::service_account && first.owner.name == "robot" &&
                first.owner.id == robot.account.id.str() && first.owner.project_role == ProjectRole::member);
    EXPECT_EQ(first.redacted_value.find(robot.key.secret), std::string::npos);
    const ListedKey& last = page.items[1];
    EXPECT_TRUE(last.id == minted.record.id && last.owner.kind == OwnerKind::user &&
                last.owner.email == "a@x.org" && last.owner.project_role == ProjectRole::owner);
    EXPECT_FALSE(last.last_used_at.has_value());
    co_await s.find_key(minted.secret);
    EXPECT_EQ((co_await s.directory.get(there, minted.record.id)).last_used_at, clock.unix_now());
    co_await s.keys.flush_uses();
    EXPECT_EQ((co_await s.directory.get(there, minted.record.id)).last_used_at, clock.unix_now());
    EXPECT_EQ((co_await s.directory.list(there, {.after = first.id.str()})).items.size(), 1u);

    auto& keys = s.directory;
    EXPECT_EQ(co_await refusal([&] { return keys.get(own, minted.record.id); }), "not_found key_id");
    EXPECT_EQ(co_await refusal([&] { return keys.revoke(actor, own.project, minted.record.id); }),
              "not_found key_id");
    EXPECT_EQ(co_await refusal([&] { return keys.revoke(actor, second.id, robot.key.record.id); }),
              "service_account_key key_id");
    EXPECT_EQ(co_await refusal([&] { return keys.list({own.organization, ProjectId("none")}, {}); }),
              "not_found project_id");
    co_await keys.revoke(actor, second.id, minted.record.id);
    EXPECT_EQ(co_await s.find_key(minted.secret), nullptr);
    EXPECT_EQ(co_await refusal([&] { return keys.revoke(actor, second.id, minted.record.id); }),
              "not_found key_id");
    EXPECT_EQ((co_await keys.list(there, {})).items.size(), 1u);
    EXPECT_EQ((co_await events(s)).back(), "api_key.deleted");
  }(*server, tenant, act_for(tenant), clock_));
}

TEST_P(StoreConformance, AdminKeysBelongToWhoMadeThem) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const Tenant foreign = add_project(*server, OrganizationId("org-other"));
  run([](Server& s, Tenant own, Tenant other, Actor actor) -> Task<void> {
    auto& keys = s.directory;
    const auto bootstrap_key = (co_await keys.list_admin(own.organization, {})).items.at(0);
    EXPECT_TRUE(bootstrap_key.owner.kind == OwnerKind::service_account &&
                bootstrap_key.owner.role == OrganizationRole::owner);
    const User ada =
        co_await s.users.add(actor, {.email = "a@x.org", .name = "Ada", .role = OrganizationRole::owner});
    const auto made = co_await keys.create_admin(actor, {OwnerKind::user, ada.id.str()}, "mine");
    EXPECT_TRUE(made.secret.starts_with("sk-admin-"));
    EXPECT_TRUE(made.key.owner.name == "Ada" && made.key.owner.role == OrganizationRole::owner &&
                made.key.owner.since == ada.added_at);
    const auto opened = co_await s.find_key(made.secret);
    EXPECT_TRUE(opened && opened->kind == KeyKind::admin && opened->owner.email == "a@x.org");
    const auto page = co_await keys.list_admin(own.organization, {.order = Order::descending});
    EXPECT_TRUE(page.items.size() == 2 && page.items[0].id == made.key.id);
    EXPECT_TRUE((co_await keys.list_admin(other.organization, {})).items.empty());
    EXPECT_EQ(co_await refusal([&] { return keys.get_admin(other.organization, made.key.id); }),
              "not_found key_id");
    EXPECT_EQ((co_await keys.get_admin(own.organization, made.key.id)).name, "mine");
    co_await keys.revoke_admin(actor, made.key.id);
    EXPECT_EQ(co_await s.find_key(made.secret), nullptr);
    EXPECT_EQ(co_await refusal([&] { return keys.revoke_admin(actor, made.key.id); }), "not_found key_id");
    EXPECT_EQ(co_await events(s), (Types{"user.added", "api_key.created", "api_key.deleted"}));
  }(*server, tenant, foreign, act_for(tenant)));
}

}  // namespace
}  // namespace hearth::store
