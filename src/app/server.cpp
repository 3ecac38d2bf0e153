#include "app/server.hpp"

#include <csignal>
#include <iostream>
#include <thread>

#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include "api/pipeline.hpp"
#include "app/background.hpp"
#include "app/bootstrap_file.hpp"
#include "app/builtin_model.hpp"
#include "app/data_directory.hpp"
#include "app/readiness.hpp"
#include "app/welcome.hpp"
#include "async/blocking_pool.hpp"
#include "async/deadline.hpp"
#include "async/runtime.hpp"
#include "async/scope.hpp"
#include "base/log.hpp"
#include "domain/limits/redis_ledger.hpp"
#include "domain/mail_notifier.hpp"
#include "engine/engines.hpp"
#include "net/http_server.hpp"
#include "net/redis_client.hpp"
#include "store/audit_logs.hpp"
#include "store/blobs/directory_blobs.hpp"
#include "store/bootstrap.hpp"
#include "store/organizations.hpp"

namespace hearth::app {
namespace {

constexpr std::size_t blocking_threads = 4;
constexpr std::size_t mailing_threads = 2;
constexpr std::size_t blob_threads = 4;
// When the server ends, usage that is not written yet is tried for this long, with these pauses.
constexpr std::chrono::milliseconds last_flush{2'000};
constexpr std::chrono::milliseconds last_flush_pause{250};

std::size_t io_threads(const Config& config) {
  if (config.server.io_threads > 0) return config.server.io_threads;
  return std::max(1U, std::thread::hardware_concurrency());
}

domain::ConfiguredModels configured(const Config& config, store::Models& registered,
                                    async::Runtime& runtime) {
  domain::ConfiguredModels out{configured_models(config), configured_aliases(config)};
  bool any = !out.models.empty();
  runtime.run_until_complete([](store::Models& models, bool& found) -> Task<void> {
    if (!(co_await models.list()).empty()) found = true;
  }(registered, any));
  if (!any) {
    if (auto builtin = find_builtin_model()) out.models.push_back(std::move(*builtin));
  }
  return out;
}

std::optional<Money> monthly_budget(const Config& config) {
  const double amount = config.limits.monthly_budget.value_or(0);
  return amount > 0 ? std::optional(to_money(amount)) : std::nullopt;
}

// "127.0.0.1:8080" → what an SDK takes as base_url.
std::string base_url(std::string_view address, bool tls) {
  if (address.starts_with("unix:")) return std::string(address);
  return fmt::format("{}://{}/v1", tls ? "https" : "http", address);
}

// Where pages are found, for links that people are sent: the configured address, or else the first
// listener's.
std::string page_url(const Config& config, std::string_view api_url) {
  if (config.server.public_url.empty()) return std::string(api_url.substr(0, api_url.rfind("/v1")));
  std::string url = config.server.public_url;
  while (url.ends_with('/'))
    url.pop_back();
  return url;
}

domain::MeteringSettings metering_settings(const Config& config) {
  using Usage = domain::MeteringSettings::Usage;
  return {.usage = config.usage.enabled ? Usage::counted : Usage::uncounted,
          .costs = {config.costs.batch_discount.value_or(0)}};
}

std::unique_ptr<net::RedisClient> limits_redis(const Config& config, const async::Executor& executor) {
  if (config.limits.redis_url.empty() || !config.limits.enabled) return nullptr;
  return std::make_unique<net::RedisClient>(executor, *net::RedisAddress::parse(config.limits.redis_url));
}

// The ledger of all processes that count together; nullptr where this one counts by itself.
std::unique_ptr<domain::LimitLedger> shared_ledger(const Config& config, net::RedisClient* redis) {
  if (!redis) return nullptr;
  return std::make_unique<domain::RedisLedger>(*redis, config.limits.reservation_time);
}

std::unique_ptr<domain::InviteNotifier> make_notifier(const Config& config, async::BlockingPool& blocking,
                                                      IdSource& ids) {
  if (config.smtp.url.empty()) return std::make_unique<domain::SilentInviteNotifier>();
  const net::MailServer server{
      .url = config.smtp.url, .user = config.smtp.user, .password = config.smtp.password};
  return std::make_unique<domain::MailNotifier>(blocking, ids, server, config.smtp.from);
}

// Owns everything that a running server consists of, in the order in which it is made.
class RunningServer {
 public:
  RunningServer(const Config& config, Welcome welcome)
      : config_(config),
        welcome_(welcome),
        ids_(clock_),
        runtime_(io_threads(config)),
        database_(open_database(config)),
        blocking_(blocking_threads),
        mailing_(mailing_threads),
        blob_work_(blob_threads),
        access_epoch_(*database_),
        keys_(*database_, clock_, ids_),
        administration_(*database_, keys_, clock_, ids_),
        invite_notifier_(make_notifier(config, mailing_, ids_)),
        invitations_(administration_.invites, *invite_notifier_,
                     std::chrono::duration_cast<std::chrono::seconds>(config.invites.lifetime)),
        logins_(*database_, administration_.users, blocking_, clock_, ids_,
                std::chrono::duration_cast<std::chrono::seconds>(config.login.session_lifetime)),
        personal_keys_(*database_, clock_, ids_),
        chat_completions_(*database_),
        blobs_(config.blobs.path, blob_work_, ids_),
        audit_logs_(*database_),
        registered_models_(*database_),
        engines_(blocking_, engine_settings(config)),
        models_(configured(config, registered_models_, runtime_), *database_, engines_, blocking_, clock_),
        inference_(engines_, clock_, ids_),
        certificates_(*database_, clock_, ids_),
        client_certificates_(certificates_, access_epoch_),
        usage_(*database_),
        budgets_(*database_),
        usage_recorder_(usage_, clock_, ids_),
        spend_limits_(budgets_, *database_, usage_recorder_.ledger(), clock_,
                      {monthly_budget(config), config.costs.currency}),
        rate_limits_(*database_, clock_, ids_),
        redis_(limits_redis(config, runtime_.executor(0))),
        rate_limiter_(rate_limits_, clock_, limiter_settings(config), shared_ledger(config, redis_.get())),
        metering_(spend_limits_, rate_limiter_, usage_recorder_, metering_settings(config)),
        background_(config, runtime_.executor(0), *database_, blobs_, clock_, ids_),
        services_{.clock = clock_,
                  .ids = ids_,
                  .identity = {.epoch = access_epoch_,
                               .keys = keys_,
                               .client_certificates = client_certificates_,
                               .logins = logins_,
                               .personal_keys = personal_keys_},
                  .organization = {.projects = administration_.projects,
                                   .users = administration_.users,
                                   .invites = administration_.invites,
                                   .project_users = administration_.project_users,
                                   .service_accounts = administration_.service_accounts,
                                   .keys = administration_.keys,
                                   .invitations = invitations_,
                                   .certificates = certificates_,
                                   .rate_limits = rate_limits_,
                                   .audit_logs = audit_logs_},
                  .models = {.directory = models_, .engines = engines_, .inference = inference_},
                  .metering = {.calls = metering_,
                               .rate_limiter = rate_limiter_,
                               .usage = usage_,
                               .currency = config.costs.currency},
                  .objects = {.chat_completions = chat_completions_, .blobs = blobs_},
                  .jobs = background_.runner()},
        pipeline_(services_,
                  {.reply_heads = {.cors_origins = config.server.cors_origins},
                   .body_memory = static_cast<std::size_t>(config.server.body_memory),
                   .request_time = config.server.request_timeout,
                   .socket_time = config.server.socket_time,
                   .public_url = config.server.public_url},
                  metrics_, process_),
        server_(runtime_, pipeline_, config.server.limits),
        scope_(runtime_.executor(0)) {
    server_.demand_certificates(client_certificates_);
    process_.job_metrics = [this] { return background_.metrics(); };
    process_.server_statistics = [this] { return server_.statistics(); };
  }

  int run() {
    std::string url;
    for (const net::ListenAddress& address : listen_addresses(config_)) {
      const std::string bound = server_.listen(address);
      log::info("listening", {{"address", bound}, {"tls", address.tls.has_value()}});
      if (url.empty()) url = base_url(bound, address.tls.has_value());
    }
    invitations_.serve_at(page_url(config_, url));
    runtime_.start();
    int status = 0;
    runtime_.run_until_complete(serve(url, status));
    return status;
  }

 private:
  Task<void> serve(std::string url, int& status) {
    co_await models_.reload();
    co_await introduce(url);
    std::string probed = co_await default_model();
    // From here on nothing may throw past the scope.
    scope_.spawn("signals", handle_signals());
    scope_.spawn("engines", engines_.run());
    if (redis_) scope_.spawn("redis", redis_->run());
    scope_.spawn("key uses", keys_.record_uses());
    scope_.spawn("usage", usage_recorder_.run());
    background_.runner().start();
    scope_.spawn("readiness", watch_readiness(process_, models_, engines_, std::move(probed), clock_));
    try {
      co_await server_.serve();
    } catch (const std::exception& error) {
      log::error("the listener failed", {{"cause", error.what()}});
      status = 1;
    }
    co_await background_.runner().stop();
    co_await engines_.stop();
    scope_.cancel();
    co_await scope_.join();
    co_await flush_usage();
    co_await flush_key_uses();
    log::info("stopped");
  }

  // A database that is away for a moment costs nothing; one that stays away must not keep the server from
  // ending as it should.
  Task<void> flush_usage() {
    const SteadyTime given_up = clock_.steady_now() + last_flush;
    std::string reason;
    do {
      if (!reason.empty()) co_await async::sleep_for(last_flush_pause);
      try {
        co_await usage_recorder_.flush();
        co_return;
      } catch (const std::exception& failure) {
        reason = failure.what();
      }
    } while (clock_.steady_now() < given_up);
    log::error("usage is lost", {{"reason", reason}});
  }

  Task<void> flush_key_uses() {
    try {
      co_await keys_.flush_uses();
    } catch (const std::exception& failure) {
      log::error("uses of keys are lost", {{"reason", failure.what()}});
    }
  }

  Task<std::string> default_model() {
    if (!config_.default_model.empty()) co_return config_.default_model;
    const auto snapshot = co_await models_.current();
    const engine::Model* model = first_for_everyone(snapshot->models());
    co_return model ? model->id : std::string();
  }

  Task<std::shared_ptr<const contract::Principal>> default_project() {
    const auto organization = co_await store::Organizations(*database_).find_first();
    const auto project = co_await administration_.projects.get_default(organization->id);
    log::warn("authentication is off", {{"project", project.id.str()}});
    contract::Principal principal{.organization = organization->id, .project = project.id};
    principal.owner.role = contract::OrganizationRole::owner;
    co_return std::make_shared<const contract::Principal>(std::move(principal));
  }

  // The first start of a data directory creates the tenant and shows its keys; they are never shown again.
  Task<void> introduce(const std::string& url) {
    const std::string model = co_await default_model();
    co_await store::bootstrap(*database_, clock_, ids_, [&](const store::Bootstrap& made) {
      const BootstrapFacts facts{.base_url = url,
                                 .admin_key = made.admin_key,
                                 .api_key = made.project_key,
                                 .organization_id = made.organization.str(),
                                 .project_id = made.project.str(),
                                 .default_model = model};
      if (!config_.bootstrap.empty()) write_bootstrap_file(config_.bootstrap, facts);
      if (welcome_ == Welcome::print) {
        const bool guides = model == builtin_model_name;
        std::cout << render_welcome(facts, guides ? Subject::hearth : Subject::any) << std::flush;
      }
    });
    if (!config_.auth.enabled) process_.anonymous = co_await default_project();
  }

  Task<void> handle_signals() {
    boost::asio::signal_set signals(runtime_.executor(0), SIGTERM, SIGINT);
    const int first = co_await signals.async_wait(boost::asio::use_awaitable);
    log::info("draining", {{"signal", first}});
    process_.ready = false;
    background_.runner().drain();
    server_.shutdown(config_.server.drain_deadline);
    co_await signals.async_wait(boost::asio::use_awaitable);
    log::warn("second signal: running requests are cut");
    server_.shutdown(std::chrono::milliseconds(0));
    engines_.hurry();
  }

  const Config& config_;
  Welcome welcome_;
  Clock clock_;
  IdSource ids_;
  async::Runtime runtime_;
  std::unique_ptr<db::Database> database_;  // answers on the runtime's executors: it dies first
  async::BlockingPool blocking_;
  async::BlockingPool mailing_;    // a mail server that hangs holds up no other work
  async::BlockingPool blob_work_;  // nor does a disk that is busy
  store::AccessEpoch access_epoch_;
  store::Keys keys_;
  store::Administration administration_;
  std::unique_ptr<domain::InviteNotifier> invite_notifier_;
  domain::Invitations invitations_;
  domain::Logins logins_;
  store::PersonalKeys personal_keys_;
  store::ChatCompletions chat_completions_;
  store::DirectoryBlobs blobs_;
  store::AuditLogs audit_logs_;
  store::Models registered_models_;
  engine::Engines engines_;
  api::Metrics metrics_;
  domain::ModelDirectory models_;
  domain::Inference inference_;
  store::Certificates certificates_;
  domain::ClientCertificates client_certificates_;
  store::Usage usage_;
  store::Budgets budgets_;
  domain::UsageRecorder usage_recorder_;
  domain::SpendLimits spend_limits_;
  store::RateLimits rate_limits_;
  std::unique_ptr<net::RedisClient> redis_;
  domain::RateLimiter rate_limiter_;
  domain::Metering metering_;
  Background background_;
  api::Services services_;
  api::ProcessState process_;
  api::Pipeline pipeline_;
  net::HttpServer server_;
  async::Scope scope_;
};

}  // namespace

int Server::run() {
  std::signal(SIGPIPE, SIG_IGN);
  return RunningServer(config_, welcome_).run();
}

}  // namespace hearth::app
