#include "domain/client_certificates.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "base/api_error.hpp"
#include "base/test_certificates.hpp"
#include "db/test_directory.hpp"
#include "store/bootstrap.hpp"
#include "store/schema.hpp"

namespace hearth::domain {
namespace {

using hearth::testing::authority;
using hearth::testing::TestCertificate;
using net::ClientDemand;

// Two server processes on a database; requests come to the one.
class World {
 public:
  void run(Task<void> task) { runtime.run_until_complete(std::move(task)); }

  // Bootstraps; the certificate that it leaves is active nowhere.
  Task<void> prepare() {
    const auto made = co_await store::bootstrap(*database, clock, ids);
    actor = {.organization = made->organization, .id = "user_1"};
    own_project = made->project;
    const TestCertificate root(authority("Root"));
    auto text = store::read_certificate(root.pem(), clock.unix_now());
    certificate = (co_await certificates.add(actor, "root", std::move(text)))->id;
  }
  store::CertificateOwner organization() const { return {actor.organization, std::nullopt}; }
  store::CertificateOwner project() const { return {actor.organization, own_project}; }
  contract::Principal key_of(std::optional<ProjectId> key_project) const {
    return {.organization = actor.organization, .project = std::move(key_project)};
  }
  // What a request from that address without a certificate gets: "in" or the error's code.
  Task<std::string> ask(std::optional<ProjectId> key_project, std::string address = "127.0.0.1") {
    net::RequestHead head;
    head.remote_address = std::move(address);
    try {
      co_await clients.check(key_of(std::move(key_project)), head, co_await epoch.current());
      co_return "in";
    } catch (const ApiError& error) {
      EXPECT_EQ(error.status(), 401);
      co_return error.code().value_or("");
    }
  }

  db::TestDirectory directory;
  FakeClock clock;
  IdSource ids{clock};
  async::Runtime runtime{1};
  std::unique_ptr<db::Database> database = store::open_data_directory(directory.path());
  std::unique_ptr<db::Database> elsewhere = store::open_data_directory(directory.path());
  store::AccessEpoch epoch{*database};
  store::Certificates certificates{*database, clock, ids};
  store::Certificates other_process{*elsewhere, clock, ids};
  ClientCertificates clients{certificates, epoch};
  store::Actor actor;
  ProjectId own_project;
  CertificateId certificate;
};

TEST(ClientCertificates, TheOrganizationsHoldForEveryRequest) {
  World world;
  world.run([](World& t) -> Task<void> {
    co_await t.prepare();
    EXPECT_EQ((co_await t.clients.current())->demand(), ClientDemand::none);
    EXPECT_EQ(co_await t.ask(t.own_project), "in");
    co_await t.other_process.set_active(t.actor, t.organization(), {t.certificate},
                                        store::Activation::active);
    EXPECT_EQ((co_await t.clients.current())->demand(), ClientDemand::required);
    EXPECT_EQ(co_await t.ask(t.own_project), "client_certificate_required");
    EXPECT_EQ(co_await t.ask(std::nullopt), "client_certificate_required");
    EXPECT_EQ(co_await t.ask(t.own_project, "unix"), "in");
    co_await t.other_process.set_active(t.actor, t.organization(), {t.certificate},
                                        store::Activation::inactive);
    EXPECT_EQ((co_await t.clients.current())->demand(), ClientDemand::none);
    EXPECT_EQ(co_await t.ask(t.own_project), "in");
  }(world));
}

TEST(ClientCertificates, AProjectsHoldForItsKeys) {
  World world;
  world.run([](World& t) -> Task<void> {
    co_await t.prepare();
    co_await t.certificates.set_active(t.actor, t.project(), {t.certificate}, store::Activation::active);
    EXPECT_EQ((co_await t.clients.current())->demand(), ClientDemand::optional);
    EXPECT_EQ(co_await t.ask(t.own_project), "client_certificate_required");
    EXPECT_EQ(co_await t.ask(ProjectId("proj_other")), "in");
    EXPECT_EQ(co_await t.ask(std::nullopt), "in");
  }(world));
}

TEST(ClientCertificates, OtherChangesKeepWhatIsParsed) {
  World world;
  world.run([](World& t) -> Task<void> {
    co_await t.prepare();
    co_await t.certificates.set_active(t.actor, t.project(), {t.certificate}, store::Activation::active);
    const auto before = co_await t.clients.current();
    co_await t.certificates.rename(t.actor, t.certificate, "renamed");
    EXPECT_EQ(co_await t.clients.current(), before);
    co_await t.certificates.set_active(t.actor, t.organization(), {t.certificate}, store::Activation::active);
    EXPECT_NE(co_await t.clients.current(), before);
  }(world));
}

TEST(ClientCertificates, OneOrganizationAloneDoesNotBindTheOthers) {
  World world;
  world.run([](World& t) -> Task<void> {
    co_await t.prepare();
    co_await t.database->write(db::WriteScope::everyone(), [](db::Connection& connection) {
      connection.execute("INSERT INTO organizations (id, name, created_at) VALUES ('org-other', 'x', 1)");
    });
    co_await t.certificates.set_active(t.actor, t.organization(), {t.certificate}, store::Activation::active);
    EXPECT_EQ((co_await t.clients.current())->demand(), ClientDemand::optional);
    EXPECT_EQ(co_await t.ask(t.own_project), "client_certificate_required");
    net::RequestHead head;
    co_await t.clients.check({.organization = OrganizationId("org-other")}, head, co_await t.epoch.current());
  }(world));
}

}  // namespace
}  // namespace hearth::domain
