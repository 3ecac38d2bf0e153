// What the store promises of certificates, on every driver.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "async/scope.hpp"
#include "store/conformance.hpp"

namespace hearth::store {
namespace {

using Ids = std::vector<CertificateId>;

Actor actor_of(const OrganizationId& organization) {
  return {.organization = organization, .key = KeyId("key_1"), .id = "user_1", .email = "ann@example.com"};
}

CertificateText text(std::string_view fingerprint) {
  return {fmt::format("PEM of {}", fingerprint), std::string(fingerprint), 100, 200};
}

std::vector<std::string> names_of(const std::vector<CertificateRecord>& records) {
  std::vector<std::string> names;
  for (const auto& record : records)
    names.push_back(fmt::format("{}{}", record.name, record.active ? "+" : ""));
  return names;
}

using Names = std::vector<std::string>;

struct AuditRow {
  std::string type;
  std::string details;
  std::string project;
  bool operator==(const AuditRow&) const = default;
};

Task<std::vector<AuditRow>> audit_of(Server& server, OrganizationId organization) {
  co_return co_await server.database->read([&](db::Connection& connection) {
    std::vector<AuditRow> rows;
    for (const db::Row row :
         connection.query("SELECT type, details, project_id FROM audit_logs WHERE organization_id = $1 "
                          "ORDER BY sequence",
                          {organization})) {
      rows.push_back({row.get<std::string>(0), row.get<std::string>(1),
                      row.get<std::optional<std::string>>(2).value_or("")});
    }
    return rows;
  });
}

// The error that `task` ends with, as "status code param".
template <class T>
Task<std::string> error_of(Task<T> task) {
  try {
    co_await std::move(task);
    co_return "none";
  } catch (const ApiError& error) {
    co_return fmt::format("{} {} {}", error.status(), error.code().value_or("-"),
                          error.param().value_or("-"));
  }
}

TEST_P(StoreConformance, CertificatesAreAddedNamedAndDeleted) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& server, OrganizationId organization) -> Task<void> {
    auto& certificates = server.certificates;
    const Actor actor = actor_of(organization);
    const auto epoch = co_await server.epoch.read();
    const auto made = co_await certificates.add(actor, "first", text("aa"));
    EXPECT_GT(co_await server.epoch.read(), epoch);
    EXPECT_TRUE(made->id.str().starts_with("cert_"));
    const auto got = co_await certificates.get(organization, made->id);
    EXPECT_EQ(got->content, "PEM of aa");
    EXPECT_EQ(got->valid_at, 100);
    EXPECT_EQ(got->expires_at, 200);
    EXPECT_FALSE(got->active);
    EXPECT_EQ(co_await broken_by(certificates.add(actor, "again", text("aa"))), Rule::certificate_is_new);
    EXPECT_EQ((co_await certificates.rename(actor, made->id, "renamed"))->name, "renamed");
    EXPECT_EQ((co_await certificates.get(organization, made->id))->name, "renamed");

    // Nobody else's.
    const OrganizationId other("org-other");
    EXPECT_EQ(co_await broken_by(certificates.get(other, made->id)), Rule::certificate_exists);
    EXPECT_EQ(co_await broken_by(certificates.rename(actor_of(other), made->id, "x")),
              Rule::certificate_exists);
    EXPECT_EQ(co_await broken_by(certificates.remove(actor_of(other), made->id)), Rule::certificate_exists);

    co_await certificates.remove(actor, made->id);
    EXPECT_EQ(co_await broken_by(certificates.get(organization, made->id)), Rule::certificate_exists);
    EXPECT_EQ(co_await broken_by(certificates.remove(actor, made->id)), Rule::certificate_exists);
    const std::string& id = made->id.str();
    const std::vector<AuditRow> expected{
        {"certificate.created", fmt::format(R"({{"id":"{}","name":"first"}})", id), ""},
        {"certificate.updated", fmt::format(R"({{"id":"{}","name":"renamed"}})", id), ""},
        {"certificate.deleted",
         fmt::format(R"({{"id":"{}","name":"renamed","certificate":"PEM of aa"}})", id), ""}};
    EXPECT_EQ(co_await audit_of(server, organization), expected);
    co_await certificates.add(actor, "", text("aa"));  // free again
  }(*server, tenant.organization));
}

TEST_P(StoreConformance, FiftyCertificatesFit) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const auto there = start();
  run([](Server& here, Server& other, OrganizationId organization) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    std::map<std::optional<Rule>, int> outcomes;
    const auto add = [](Certificates& certificates, Actor actor, int number,
                        std::map<std::optional<Rule>, int>& out) -> Task<void> {
      const auto name = fmt::format("{:02}", number);
      ++out[co_await broken_by(certificates.add(actor, name, text(name)))];
    };
    for (int i = 0; i < 60; ++i) {
      scope.spawn("add", add((i % 2 ? here : other).certificates, actor_of(organization), i, outcomes));
    }
    co_await scope.join();
    const std::map<std::optional<Rule>, int> expected{{std::nullopt, 50}, {Rule::certificates_have_room, 10}};
    EXPECT_EQ(outcomes, expected);
    EXPECT_EQ((co_await audit_of(here, organization)).size(), 50u);

    // Pages of the list, either way, begin where the last one ended.
    Names forward;
    PageRequest page{.limit = 20};
    for (bool more = true; more;) {
      const auto part = co_await here.certificates.list({organization, std::nullopt}, page);
      for (const auto& record : part->items)
        forward.push_back(record.name);
      page.after = part->items.back().id.str();
      more = part->has_more;
    }
    EXPECT_EQ(forward.size(), 50u);
    page = {.limit = 100, .order = Order::descending};
    Names backward = names_of((co_await here.certificates.list({organization, std::nullopt}, page))->items);
    std::ranges::reverse(backward);
    EXPECT_EQ(forward, backward);
    EXPECT_EQ(co_await error_of(here.certificates.list({organization, std::nullopt}, {.after = "cert_x"})),
              "400 invalid_value after");
  }(*server, *there, tenant.organization));
}

TEST_P(StoreConformance, ActivationsOfCertificatesHappenWhollyOrNotAtAll) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& server, OrganizationId organization) -> Task<void> {
    auto& certificates = server.certificates;
    const Actor actor = actor_of(organization);
    const CertificateOwner owner{organization, std::nullopt};
    const auto a = (co_await certificates.add(actor, "a", text("aa")))->id;
    const auto b = (co_await certificates.add(actor, "b", text("bb")))->id;
    const auto before = (co_await audit_of(server, organization)).size();
    EXPECT_EQ(co_await broken_by(certificates.set_active(actor, owner, Ids{a, CertificateId("cert_x"), b},
                                                         Activation::active)),
              Rule::certificate_exists);
    EXPECT_EQ(names_of((co_await certificates.list(owner, {}))->items), (Names{"a", "b"}));
    EXPECT_EQ((co_await audit_of(server, organization)).size(), before);

    EXPECT_EQ(
        names_of((co_await certificates.set_active(actor, owner, Ids{b, a, b}, Activation::active)).value()),
        (Names{"b+", "a+"}));
    const auto epoch = co_await server.epoch.read();
    // Once more: nothing changes, so nothing is logged.
    EXPECT_EQ(names_of((co_await certificates.set_active(actor, owner, Ids{a}, Activation::active)).value()),
              (Names{"a+"}));
    EXPECT_EQ(co_await server.epoch.read(), epoch);
    EXPECT_EQ(names_of((co_await certificates.list(owner, {}))->items), (Names{"a+", "b+"}));
    EXPECT_EQ(co_await broken_by(certificates.remove(actor, a)), Rule::certificate_is_inactive);
    EXPECT_EQ(
        names_of((co_await certificates.set_active(actor, owner, Ids{a}, Activation::inactive)).value()),
        (Names{"a"}));
    EXPECT_EQ(
        names_of((co_await certificates.set_active(actor, owner, Ids{a}, Activation::inactive)).value()),
        (Names{"a"}));
    co_await certificates.remove(actor, a);

    auto audit = co_await audit_of(server, organization);
    EXPECT_EQ(audit.size(), before + 3);
    if (audit.size() != before + 3) co_return;
    EXPECT_EQ(audit[before],
              (AuditRow{"certificates.activated",
                        fmt::format(R"({{"certificates":[{{"id":"{}","name":"b"}},{{"id":"{}",)"
                                    R"("name":"a"}}]}})",
                                    b.str(), a.str()),
                        ""}));
    EXPECT_EQ(audit[before + 1].type, "certificates.deactivated");
    EXPECT_EQ(audit[before + 2].type, "certificate.deleted");
  }(*server, tenant.organization));
}

TEST_P(StoreConformance, ProjectsHaveCertificatesOfTheirOwn) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  const ProjectId project = add_project(*server, tenant.organization).project;
  run([](Server& server, OrganizationId organization, ProjectId project) -> Task<void> {
    auto& certificates = server.certificates;
    const Actor actor = actor_of(organization);
    const CertificateOwner whole{organization, std::nullopt};
    const CertificateOwner owner{organization, project};
    const auto a = (co_await certificates.add(actor, "a", text("aa")))->id;
    const auto b = (co_await certificates.add(actor, "b", text("bb")))->id;
    co_await certificates.set_active(actor, owner, Ids{a}, Activation::active);
    co_await certificates.set_active(actor, owner, Ids{a}, Activation::active);
    co_await certificates.set_active(actor, whole, Ids{b}, Activation::active);
    EXPECT_EQ(names_of((co_await certificates.list(owner, {}))->items), (Names{"a+", "b"}));
    EXPECT_EQ(names_of((co_await certificates.list(whole, {}))->items), (Names{"a", "b+"}));
    EXPECT_EQ(co_await broken_by(certificates.remove(actor, a)),
              Rule::certificate_is_inactive_in_the_project);
    const auto audit = co_await audit_of(server, organization);
    EXPECT_EQ(audit.back().project, "");
    EXPECT_EQ(audit[audit.size() - 2].project, project.str());

    const auto active = co_await certificates.read_active();
    EXPECT_EQ(active.organizations, 1u);
    EXPECT_EQ(active.certificates.size(), 2u);
    for (const auto& certificate : active.certificates) {
      EXPECT_EQ(certificate.for_organization, certificate.id == b);
      EXPECT_EQ(certificate.projects, certificate.id == a ? std::vector{project} : std::vector<ProjectId>());
      EXPECT_EQ(certificate.content, certificate.id == a ? "PEM of aa" : "PEM of bb");
    }
    EXPECT_EQ(co_await broken_by(certificates.set_active(actor, {organization, ProjectId("proj_x")}, Ids{a},
                                                         Activation::active)),
              Rule::project_exists);
    EXPECT_EQ(co_await broken_by(certificates.list({organization, ProjectId("proj_x")}, {})),
              Rule::project_exists);
  }(*server, tenant.organization, project));
  // An archived project is not changed any more, and what was active there is active nowhere.
  run([](Server& s, OrganizationId organization, ProjectId project) -> Task<void> {
    auto& certificates = s.certificates;
    const Actor actor = actor_of(organization);
    co_await s.projects.archive(actor, project);
    const auto all = co_await certificates.list({organization, std::nullopt}, {});
    const Ids a{all->items[0].id};
    EXPECT_EQ(
        co_await broken_by(certificates.set_active(actor, {organization, project}, a, Activation::active)),
        Rule::project_is_active);
    EXPECT_EQ(
        co_await broken_by(certificates.set_active(actor, {organization, project}, a, Activation::inactive)),
        Rule::project_is_active);
    EXPECT_EQ((co_await certificates.read_active()).certificates.size(), 1u);
    co_await certificates.remove(actor, a[0]);
  }(*server, tenant.organization, project));
}

TEST_P(StoreConformance, AllActivationsOfCertificatesEndAtOnce) {
  const auto server = start();
  const Tenant tenant = make_tenant(*server);
  run([](Server& server, OrganizationId organization, ProjectId project) -> Task<void> {
    auto& certificates = server.certificates;
    const Actor actor = actor_of(organization);
    const auto a = (co_await certificates.add(actor, "a", text("aa")))->id;
    const auto b = (co_await certificates.add(actor, "b", text("bb")))->id;
    co_await certificates.set_active(actor, {organization, project}, Ids{a}, Activation::active);
    co_await certificates.set_active(actor, {organization, std::nullopt}, Ids{a, b}, Activation::active);
    EXPECT_EQ(co_await certificates.deactivate_all(actor), 3u);
    EXPECT_TRUE((co_await certificates.read_active()).certificates.empty());
    const auto audit = co_await audit_of(server, organization);
    EXPECT_EQ(audit.back().type, "certificates.deactivated");
    EXPECT_EQ(audit.back().project, project.str());
    EXPECT_EQ(audit[audit.size() - 2].project, "");
    EXPECT_EQ(co_await certificates.deactivate_all(actor), 0u);
    EXPECT_EQ((co_await audit_of(server, organization)).size(), audit.size());
  }(*server, tenant.organization, tenant.project));
}

}  // namespace
}  // namespace hearth::store
