// For tests of api/: the services of a server on a database of their own, and a pipeline over them that
// serves a contract on a loopback port.
//
//   TestApi api(fixture_api([](Services&, Call& call) -> Task<contract::Reply> { … }));
//   api.run([&api](net::testing::TestServer& server) -> Task<void> {
//     const std::string reply = co_await api.ask(server, "POST /v1/things", R"({"name": "a"})");
//   });
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/metrics.hpp"
#include "api/pipeline.hpp"
#include "api/served_api.hpp"
#include "api/services.hpp"
#include "async/blocking_pool.hpp"
#include "async/runtime.hpp"
#include "contract/fixture.hpp"
#include "db/sqlite.hpp"
#include "db/test_directory.hpp"
#include "domain/invite_notifier.hpp"
#include "net/test_server.hpp"
#include "store/blobs/directory_blobs.hpp"
#include "store/blobs/faulty_files.hpp"
#include "store/bootstrap.hpp"
#include "store/schema.hpp"

namespace hearth::api::testing {

// The small contract in contract/fixture, every operation of which `handle` handles.
inline ServedApi fixture_api(std::function<Task<contract::Reply>(Services&, Call&)> handle) {
  static const contract::Validator validator(contract::fixture::tables.schemas);
  return {.operations = contract::fixture::tables.operations,
          .validator = validator,
          .openapi = "{}",
          .handle = std::move(handle)};
}

// The fixture whose upload_thing has other limits. Outlives what it serves.
class LimitedFixture {
 public:
  LimitedFixture(std::size_t file_limit, std::size_t body_limit) {
    const auto upload = std::ranges::find(operations_, "upload_thing", &contract::Operation::name);
    upload->file_limit = file_limit;
    upload->body_limit = body_limit;
  }
  LimitedFixture(const LimitedFixture&) = delete;

  ServedApi serve(std::function<Task<contract::Reply>(Services&, Call&)> handle) const {
    const ServedApi fixture = fixture_api(std::move(handle));
    return {.operations = tables_,
            .validator = fixture.validator,
            .openapi = fixture.openapi,
            .handle = fixture.handle};
  }

 private:
  static const contract::OperationTables& own() { return contract::fixture::tables.operations; }
  std::vector<contract::Operation> operations_{own().operations.begin(), own().operations.end()};
  contract::OperationTables tables_{operations_, own().routes, own().route_children, own().route_methods};
};

// What a test changes of the services that TestApi makes.
struct TestSetting {
  const Clock* clock = nullptr;  // the machine's where null
  domain::ConfiguredModels models;
  std::function<std::unique_ptr<db::Driver>(std::unique_ptr<db::Driver>)> wrap_driver;  // where set
};

// Everything that handlers work with, on an SQLite database with a bootstrapped tenant.
struct TestServices {
  explicit TestServices(TestSetting setting) : setting_(std::move(setting)) {
    runtime_.run_until_complete([](TestServices& made) -> Task<void> {
      const auto first = co_await store::bootstrap(*made.database, made.clock, made.ids);
      made.tenant = *first;
    }(*this));
  }

  std::filesystem::path blob_folder() const { return blob_directory.path() / "blobs"; }
  async::Runtime& runtime() { return runtime_; }

 private:
  std::unique_ptr<db::Database> open() const {
    auto driver = db::open_sqlite({.file = directory_.path() / "test.db"});
    return store::open_database(setting_.wrap_driver ? setting_.wrap_driver(std::move(driver))
                                                     : std::move(driver));
  }

  db::TestDirectory directory_;
  TestSetting setting_;
  const Clock system_clock_;
  async::Runtime runtime_{1};  // the database's threads answer on it, so it outlives them

 public:
  const Clock& clock = setting_.clock ? *setting_.clock : system_clock_;
  IdSource ids{clock};
  std::unique_ptr<db::Database> database = open();
  async::BlockingPool blocking{1};
  store::AccessEpoch epoch{*database};
  store::Keys keys{*database, clock, ids};
  store::Administration administration{*database, keys, clock, ids};
  domain::SilentInviteNotifier notifier;
  domain::Invitations invitations{administration.invites, notifier, std::chrono::hours(1)};
  domain::Logins logins{*database, administration.users, blocking, clock, ids, std::chrono::hours(1)};
  store::PersonalKeys personal_keys{*database, clock, ids};
  store::ChatCompletions chat_completions{*database};
  store::FaultyFiles files;  // of the blobs: faultless as long as no test asks for faults
  db::TestDirectory blob_directory;
  async::BlockingPool blob_work{1};
  store::DirectoryBlobs blobs{blob_folder(), blob_work, ids, files};
  store::AuditLogs audit_logs{*database};
  engine::Engines engines{blocking, {}};
  domain::ModelDirectory models{setting_.models, *database, engines, blocking, clock};
  domain::Inference inference{engines, clock, ids};
  store::Certificates certificates{*database, clock, ids};
  domain::ClientCertificates client_certificates{certificates, epoch};
  store::Usage usage{*database};
  store::Budgets budgets{*database};
  domain::UsageRecorder recorder{usage, clock, ids};
  domain::SpendLimits spend_limits{budgets, *database, recorder.ledger(), clock, {}};
  store::RateLimits rate_limits{*database, clock, ids};
  domain::RateLimiter rate_limiter{rate_limits, clock, {}};
  async::Runtime background{1};
  jobs::Runner jobs{background.executor(0), *database, clock, ids, {}, {}};  // runs nothing
  domain::Metering metering{spend_limits, rate_limiter, recorder, {}};
  Services services{
      .clock = clock,
      .ids = ids,
      .identity = {.epoch = epoch,
                   .keys = keys,
                   .client_certificates = client_certificates,
                   .logins = logins,
                   .personal_keys = personal_keys},
      .organization = {.projects = administration.projects,
                       .users = administration.users,
                       .invites = administration.invites,
                       .project_users = administration.project_users,
                       .service_accounts = administration.service_accounts,
                       .keys = administration.keys,
                       .invitations = invitations,
                       .certificates = certificates,
                       .rate_limits = rate_limits,
                       .audit_logs = audit_logs},
      .models = {.directory = models, .engines = engines, .inference = inference},
      .metering = {.calls = metering, .rate_limiter = rate_limiter, .usage = usage, .currency = "usd"},
      .objects = {.chat_completions = chat_completions, .blobs = blobs},
      .jobs = jobs};
  store::Bootstrap tenant;  // its keys too
};

// A pipeline on a loopback port while run() runs. Thread: the test's.
class TestApi {
 public:
  using Body = std::function<Task<void>(net::testing::TestServer&)>;

  explicit TestApi(ServedApi api, PipelineSettings settings = {}, TestSetting setting = {})
      : services_(std::move(setting)),
        api_(std::move(api)),
        metrics_(api_.operations.operations),
        pipeline_(services_.services, std::move(settings), metrics_, process_, api_) {}

  TestServices& services() { return services_; }

  // Every wait of it ends; `body` outlives its run.
  void run(const Body& body, net::ServerLimits limits = {}) {
    net::testing::TestServer::run_on(
        services_.runtime(),
        [this](const net::RequestHead& head, net::BodyReader& reader, net::ResponseWriter& response) {
          return pipeline_.handle(head, reader, response);
        },
        body, limits);
  }

  // The head of a request with the key of the bootstrapped project, without its last line: `start` is its
  // method and its path.
  std::string head(std::string_view start) const {
    return fmt::format("{} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {}\r\n",
                       start, services_.tenant.project_key);
  }
  // A request with a JSON body, and all that the server answers to it.
  Task<std::string> ask(net::testing::TestServer& server, std::string_view start, std::string_view json) {
    co_return co_await server.exchange(fmt::format(
        "{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", head(start), json.size(), json));
  }

 private:
  TestServices services_;
  ProcessState process_;
  ServedApi api_;
  Metrics metrics_;
  Pipeline pipeline_;
};

}  // namespace hearth::api::testing
