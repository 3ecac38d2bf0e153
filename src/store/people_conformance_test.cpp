// What the store promises about people: users, invites, members of projects.
#include "store/conformance.hpp"

namespace hearth::store {
namespace {

using namespace std::chrono_literals;
using contract::OrganizationRole;
using contract::ProjectRole;

TEST_P(StoreConformance, AUserIsOneAddress) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const Tenant foreign = add_project(*server, OrganizationId("org-other"));
  run([](Server& s, Tenant own, Tenant other, Actor actor) -> Task<void> {
    const User ada = co_await s.users.add(
        actor, {.email = "Ada@Example.org", .name = "Ada", .role = OrganizationRole::owner});
    EXPECT_EQ(ada.email, "Ada@Example.org");
    const auto found = co_await s.users.find_by_email(own.organization, "ada@example.ORG");
    EXPECT_TRUE(found && found->id == ada.id && found->name == "Ada" &&
                found->role == OrganizationRole::owner);
    EXPECT_FALSE((co_await s.users.find_by_email(other.organization, "ada@example.org")).has_value());
    EXPECT_FALSE((co_await s.users.find(other.organization, ada.id)).has_value());
    EXPECT_EQ(co_await refusal([&] { return s.users.add(actor, {.email = "ADA@example.org", .name = "x"}); }),
              "user_exists email");
    EXPECT_EQ(co_await refusal([&] { return s.users.get(own.organization, UserId("user-none")); }),
              "not_found user_id");
    Actor elsewhere = actor;
    elsewhere.organization = other.organization;
    EXPECT_EQ(
        co_await refusal([&] { return s.users.modify_role(elsewhere, ada.id, OrganizationRole::reader); }),
        "not_found user_id");
    EXPECT_EQ(co_await refusal([&] { return s.users.remove(elsewhere, ada.id); }), "not_found user_id");
    EXPECT_EQ(co_await events(s), (Types{"user.added"}));
  }(*server, tenant, foreign, act_for(tenant)));
}

TEST_P(StoreConformance, UsersAreListedByPagesAndAddresses) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own, Actor actor) -> Task<void> {
    std::vector<UserId> ids;
    for (const char* email : {"a@x.org", "B@x.org", "c@x.org"})
      ids.push_back((co_await s.users.add(actor, {.email = email, .name = email})).id);
    auto page = co_await s.users.list(own.organization, {}, {.limit = 2});
    EXPECT_TRUE(page.has_more && page.items.size() == 2 && page.items[0].id == ids[0]);
    page = co_await s.users.list(own.organization, {}, {.after = ids[1].str(), .limit = 2});
    EXPECT_TRUE(!page.has_more && page.items.size() == 1 && page.items[0].id == ids[2]);
    page = co_await s.users.list(own.organization, {"C@X.ORG", "b@x.org", "nobody@x.org"}, {.limit = 5});
    EXPECT_TRUE(page.items.size() == 2 && page.items[0].id == ids[1] && page.items[1].id == ids[2]);
    EXPECT_EQ(co_await refusal([&] {
                return s.users.list(own.organization, {"a@x.org"}, {.after = ids[1].str(), .limit = 5});
              }),
              "invalid_value after");
  }(*server, tenant, act_for(tenant)));
}

TEST_P(StoreConformance, TheLastOwnerStays) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Actor actor) -> Task<void> {
    const User ada =
        co_await s.users.add(actor, {.email = "a@x.org", .name = "Ada", .role = OrganizationRole::owner});
    const User bob = co_await s.users.add(actor, {.email = "b@x.org", .name = "Bob"});
    EXPECT_EQ(co_await refusal([&] { return s.users.modify_role(actor, ada.id, OrganizationRole::reader); }),
              "last_owner role");
    EXPECT_EQ(co_await refusal([&] { return s.users.remove(actor, ada.id); }), "last_owner user_id");
    EXPECT_EQ((co_await s.users.modify_role(actor, ada.id, OrganizationRole::owner)).role,
              OrganizationRole::owner);
    EXPECT_EQ((co_await s.users.modify_role(actor, bob.id, OrganizationRole::owner)).role,
              OrganizationRole::owner);
    co_await s.users.remove(actor, ada.id);
    EXPECT_EQ(co_await refusal([&] { return s.users.remove(actor, bob.id); }), "last_owner user_id");
    EXPECT_EQ(co_await events(s), (Types{"user.added", "user.added", "user.updated", "user.deleted"}));
  }(*server, act_for(tenant)));
}

TEST_P(StoreConformance, WhoLeavesTakesKeysAndSessionsAlong) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own, Actor actor) -> Task<void> {
    const User ada = co_await s.users.add(actor, {.email = "a@x.org", .name = "Ada", .password_hash = "h1"});
    const Project second = co_await s.projects.create(actor, "Second");
    co_await s.members.add(actor, own.project, ada.id, ProjectRole::owner);
    co_await s.members.add(actor, second.id, ada.id, ProjectRole::member);
    const auto key_in = [&](ProjectId project) {
      return s.keys.create(
          {own.organization, std::move(project), KeyKind::project, "k", OwnerKind::user, ada.id.str()});
    };
    const auto first_key = co_await key_in(own.project);
    const auto second_key = co_await key_in(second.id);
    const auto add_session = [&]() -> Task<void> {
      co_await s.database->write(db::WriteScope::everyone(), [&](db::Connection& connection) {
        connection.execute(
            "INSERT INTO sessions (token_hash, organization_id, user_id, created_at, expires_at) "
            "VALUES ('t', $1, $2, 1, 2)",
            {own.organization, ada.id});
      });
    };
    const auto count_sessions = [&]() -> Task<std::size_t> {
      co_return co_await s.database->read([](db::Connection& connection) {
        return connection.query("SELECT token_hash FROM sessions").size();
      });
    };
    co_await add_session();
    EXPECT_EQ(co_await s.users.find_password_hash(own.organization, ada.id), "h1");
    EXPECT_TRUE(co_await s.users.set_password_hash(own.organization, ada.id, "h2"));
    EXPECT_EQ(co_await s.users.find_password_hash(own.organization, ada.id), "h2");
    EXPECT_EQ(co_await count_sessions(), 0u);
    co_await add_session();

    co_await s.members.remove(actor, second.id, ada.id);
    EXPECT_EQ(co_await s.find_key(second_key.secret), nullptr);
    EXPECT_NE(co_await s.find_key(first_key.secret), nullptr);
    co_await s.users.remove(actor, ada.id);
    EXPECT_EQ(co_await s.find_key(first_key.secret), nullptr);
    EXPECT_EQ(co_await count_sessions(), 0u);
    EXPECT_TRUE((co_await s.members.list(own, {}))->items.empty());
    EXPECT_FALSE(co_await s.users.set_password_hash(own.organization, ada.id, "h3"));
    EXPECT_EQ(co_await events(s),
              (Types{"user.added", "project.created", "user.added", "user.added", "api_key.deleted",
                     "user.deleted", "api_key.deleted", "user.deleted"}));
  }(*server, tenant, act_for(tenant)));
}

TEST_P(StoreConformance, MembersOfAProject) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own, Actor actor) -> Task<void> {
    const User ada = co_await s.users.add(actor, {.email = "a@x.org", .name = "Ada"});
    const User bob = co_await s.users.add(actor, {.email = "b@x.org", .name = "Bob"});
    const Project second = co_await s.projects.create(actor, "Second");
    const Tenant there{own.organization, second.id};
    auto& members = s.members;
    EXPECT_EQ((co_await members.add(actor, second.id, bob.id, ProjectRole::member))->name, "Bob");
    EXPECT_EQ((co_await members.add(actor, second.id, ada.id, ProjectRole::owner))->email, "a@x.org");
    EXPECT_EQ(co_await broken_by(members.add(actor, second.id, ada.id, ProjectRole::member)),
              Rule::member_is_new);
    EXPECT_EQ(co_await broken_by(members.add(actor, second.id, UserId("none"), ProjectRole::member)),
              Rule::user_exists);
    EXPECT_EQ(co_await broken_by(members.add(actor, ProjectId("none"), ada.id, ProjectRole::member)),
              Rule::project_exists);
    EXPECT_EQ(co_await broken_by(members.get(own, ada.id)), Rule::member_exists);
    EXPECT_EQ((co_await members.modify_role(actor, second.id, bob.id, ProjectRole::owner))->role,
              ProjectRole::owner);
    EXPECT_EQ((co_await members.get(there, bob.id))->role, ProjectRole::owner);
    auto page = co_await members.list(there, {.limit = 1});
    EXPECT_TRUE(page->has_more && page->items[0].id == bob.id);
    page = co_await members.list(there, {.after = bob.id.str(), .limit = 1});
    EXPECT_TRUE(!page->has_more && page->items[0].id == ada.id);

    co_await s.projects.archive(actor, second.id);
    EXPECT_EQ(co_await broken_by(members.list(there, {})), Rule::project_is_active);
    EXPECT_EQ(co_await broken_by(members.remove(actor, second.id, bob.id)), Rule::project_is_active);
    EXPECT_EQ(co_await broken_by(members.modify_role(actor, second.id, bob.id, ProjectRole::member)),
              Rule::project_is_active);
    EXPECT_EQ((co_await members.get(there, bob.id))->id, bob.id);
  }(*server, tenant, act_for(tenant)));
}

TEST_P(StoreConformance, AnInviteMakesAUserOnce) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own, Actor actor) -> Task<void> {
    const Project second = co_await s.projects.create(actor, "Second");
    const Project closed = co_await s.projects.create(actor, "Closed");
    const std::vector<ProjectGrant> grants{{second.id, ProjectRole::owner}, {closed.id, ProjectRole::member}};
    const SentInvite sent = co_await s.invites.create(
        actor, {.email = "Ada@x.org", .role = OrganizationRole::owner, .projects = grants});
    EXPECT_EQ(sent.invite.projects.size(), 2u);
    EXPECT_EQ(co_await refusal([&] { return s.invites.create(actor, {.email = "ada@X.org"}); }),
              "invite_exists email");
    const auto opened = co_await s.invites.find_by_token(sent.token);
    EXPECT_TRUE(opened && opened->id == sent.invite.id && opened->email == "Ada@x.org");
    EXPECT_FALSE((co_await s.invites.find_by_token(sent.token + "x")).has_value());
    const auto renewed = co_await s.invites.renew_link(own.organization, "ADA@x.org");
    EXPECT_TRUE(renewed.has_value());
    if (!renewed) co_return;
    EXPECT_FALSE((co_await s.invites.find_by_token(sent.token)).has_value());
    co_await s.projects.archive(actor, closed.id);
    const auto user = co_await s.invites.accept(renewed->token, {.name = "Ada", .password_hash = "h"});
    EXPECT_TRUE(user && user->email == "Ada@x.org" && user->role == OrganizationRole::owner);
    if (!user) co_return;
    EXPECT_EQ((co_await s.members.get({own.organization, second.id}, user->id))->role, ProjectRole::owner);
    EXPECT_FALSE((co_await s.invites.accept(renewed->token, {.name = "Eve"})).has_value());
    const Invite after = co_await s.invites.get(own.organization, sent.invite.id);
    EXPECT_TRUE(after.status(after.invited_at) == InviteStatus::accepted && after.accepted_at);
    EXPECT_EQ(co_await refusal([&] { return s.invites.remove(actor, sent.invite.id); }),
              "invite_accepted invite_id");
    EXPECT_EQ(co_await refusal([&] { return s.invites.create(actor, {.email = "ada@x.org"}); }),
              "user_exists email");
    EXPECT_EQ(co_await events(s), (Types{"project.created", "project.created", "invite.sent",
                                         "project.archived", "user.added", "user.added", "invite.accepted"}));
    // The person who accepts is the actor.
    co_await s.database->read([&](db::Connection& connection) {
      const db::Rows rows = connection.query(
          "SELECT actor_id, actor_type FROM audit_logs WHERE type IN ('user.added', 'invite.accepted')");
      for (const db::Row row : rows) {
        EXPECT_EQ(row.get<std::string>(0), user->id.str());
        EXPECT_EQ(row.get<std::string>(1), "session");
      }
    });
  }(*server, tenant, act_for(tenant)));
}

TEST_P(StoreConformance, InvitesEnd) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& s, Tenant own, Actor actor, FakeClock& clock) -> Task<void> {
    const SentInvite first = co_await s.invites.create(actor, {.email = "a@x.org", .lifetime = 100s});
    EXPECT_TRUE(first.invite.projects.size() == 1 && first.invite.projects[0].project == own.project);
    EXPECT_EQ(first.invite.status(clock.unix_now()), InviteStatus::pending);
    const SentInvite taken_back = co_await s.invites.create(actor, {.email = "b@x.org"});
    co_await s.invites.remove(actor, taken_back.invite.id);
    EXPECT_FALSE((co_await s.invites.accept(taken_back.token, {.name = "Bob"})).has_value());
    EXPECT_EQ(co_await refusal([&] { return s.invites.get(own.organization, taken_back.invite.id); }),
              "not_found invite_id");
    clock.advance(100s);
    EXPECT_EQ(first.invite.status(clock.unix_now()), InviteStatus::expired);
    EXPECT_FALSE((co_await s.invites.find_by_token(first.token)).has_value());
    EXPECT_FALSE((co_await s.invites.accept(first.token, {.name = "Ada"})).has_value());
    EXPECT_FALSE((co_await s.invites.renew_link(own.organization, "a@x.org")).has_value());
    const SentInvite second = co_await s.invites.create(actor, {.email = "a@x.org"});
    const auto page = co_await s.invites.list(own.organization, {.limit = 1});
    EXPECT_TRUE(page.has_more && page.items[0].id == first.invite.id && page.items[0].projects.size() == 1);
    EXPECT_EQ((co_await s.invites.list(own.organization, {.after = first.invite.id.str()})).items[0].id,
              second.invite.id);
  }(*server, tenant, act_for(tenant), clock_));
}

TEST_P(StoreConformance, InvitesGrantWhatThereIs) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const Tenant foreign = add_project(*server, OrganizationId("org-other"));
  run([](Server& s, Tenant own, Tenant other, Actor actor) -> Task<void> {
    const auto attempt = [&](std::vector<ProjectGrant> grants) {
      return refusal([&s, &actor, grants = std::move(grants)] {
        return s.invites.create(actor, {.email = "a@x.org", .projects = grants});
      });
    };
    const Project closed = co_await s.projects.create(actor, "Closed");
    co_await s.projects.archive(actor, closed.id);
    EXPECT_EQ(co_await attempt({{own.project}, {other.project}}), "not_found projects[1].id");
    EXPECT_EQ(co_await attempt({{closed.id}}), "project_archived projects[0].id");
    EXPECT_EQ(co_await attempt({{own.project}, {own.project, ProjectRole::owner}}),
              "invalid_value projects[1].id");
    EXPECT_EQ(co_await attempt({}), "");
    EXPECT_TRUE((co_await s.invites.list(own.organization, {})).items[0].projects.empty());
  }(*server, tenant, foreign, act_for(tenant)));
}

}  // namespace
}  // namespace hearth::store
