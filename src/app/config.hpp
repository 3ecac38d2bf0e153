// The configuration of a server: the values of every setting, as plain structs.
//
// Filled by load_config() (config_load.hpp) from the table of settings (settings.hpp); read by whoever starts
// something. Immutable once loaded. The defaults written here are the defaults.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "contract/prices.hpp"
#include "domain/limits/settings.hpp"
#include "engine/catalogue/model.hpp"
#include "engine/engines.hpp"
#include "jobs/runner.hpp"
#include "net/http_server.hpp"

namespace hearth::app {

// One `[models."name"]` table. Exactly one of `file` and `base_urls` is set.
struct ModelConfig {
  std::string file;
  std::string projector;
  std::uint32_t context = 0;
  std::uint32_t slots = 0;    // 0 = engines.slots
  std::uint32_t threads = 0;  // 0 = engines.threads
  std::string chat_template;
  std::string chat_template_file;  // read into chat_template when the configuration is loaded
  std::vector<std::string> arguments;
  std::uint64_t memory = 0;

  std::vector<std::string> base_urls;
  std::string api_key;      // secret
  std::string api_key_env;  // read into api_key when the configuration is loaded
  std::string model;
  std::chrono::milliseconds timeout{600'000};

  std::vector<std::string> capabilities;
  std::string owned_by = "hearth";
  std::vector<std::string> aliases;
  contract::Prices prices;
};

struct Config {
  std::string data = "hearth-data";  // directory; absolute once loaded
  std::string bootstrap;             // file for the keys of a first start; empty = none
  std::string default_model;         // id or alias; empty = the first of the catalogue

  struct Server {
    std::vector<std::string> listen{"127.0.0.1:8080"};
    net::TlsOptions tls;  // both files or neither
    std::uint32_t io_threads = 0;
    net::ServerLimits limits;
    std::uint64_t body_memory = 256ULL << 20;
    std::chrono::milliseconds request_timeout{600'000};
    std::chrono::milliseconds socket_time{3'600'000};
    std::chrono::milliseconds drain_deadline{30'000};
    std::vector<std::string> cors_origins;
    std::string public_url;  // empty = that of the first address
  } server;

  struct Database {
    std::string url;   // of PostgreSQL; empty = the SQLite file
    std::string path;  // set once loaded
  } database;

  struct Auth {
    bool enabled = true;
  } auth;

  struct Login {
    std::chrono::milliseconds session_lifetime{12 * 3'600'000LL};
  } login;

  struct Invites {
    std::chrono::milliseconds lifetime{7 * 86'400'000LL};
  } invites;

  struct Usage {
    bool enabled = true;
  } usage;

  // The background's: lease_time and heartbeat hold for the processes that share a database.
  struct Jobs {
    std::uint32_t places = 8;
    std::chrono::milliseconds lease_time{30'000};
    std::chrono::milliseconds heartbeat{5'000};
    std::chrono::milliseconds kept{7 * 86'400'000LL};
    std::chrono::milliseconds sweep_interval{3'600'000};
  } jobs;

  struct Smtp {
    std::string url;  // empty = nothing is sent
    std::string user;
    std::string password;  // secret
    std::string from;
  } smtp;

  struct Log {
    log::Level level = log::Level::info;
    log::Format format = log::Format::console;
  } log;

  struct Engines {
    std::string llama_server;  // empty = none was found
    std::uint64_t memory_budget = 0;
    std::chrono::milliseconds idle_unload{15 * 60'000};
    std::chrono::milliseconds load_timeout{5 * 60'000};
    std::chrono::milliseconds stop_grace{10'000};
    std::uint32_t slots = 4;
    std::uint32_t threads = 0;
  } engines;

  struct Costs {
    std::string currency = "usd";
    std::optional<double> batch_discount = 0.5;
  } costs;

  // These limits hold for each project and, within it, for each model; 0 = no limit.
  struct Limits {
    bool enabled = true;
    std::uint64_t requests_per_minute = 10'000;
    std::uint64_t tokens_per_minute = 10'000'000;
    std::uint64_t images_per_minute = 0;
    std::uint64_t audio_megabytes_per_minute = 0;
    std::uint64_t requests_per_day = 0;
    std::uint64_t batch_input_tokens_per_day = 0;
    std::chrono::milliseconds reservation_time{15 * 60'000};
    std::string redis_url;  // secret; empty = each process counts by itself
    domain::LedgerFailure redis_failure = domain::LedgerFailure::local;
    std::optional<double> monthly_budget = 0;
  } limits;

  struct Blobs {
    std::string path;  // set once loaded
  } blobs;

  struct Pull {
    std::string endpoint = "https://huggingface.co";
    std::string token;  // secret
    std::string cache;  // set once loaded
  } pull;

  std::map<std::string, ModelConfig> models;
  std::map<std::string, std::string> aliases;  // name → target; those of [aliases] alone
};

// The addresses to listen on; TLS, where configured, holds for the TCP ones.
std::vector<net::ListenAddress> listen_addresses(const Config& config);

engine::EngineSettings engine_settings(const Config& config);

domain::LimiterSettings limiter_settings(const Config& config);

jobs::RunnerSettings runner_settings(const Config& config);

// The models of the configuration. A local model without a setting for it has empty `capabilities`: its
// file tells what it can do.
std::vector<engine::Model> configured_models(const Config& config);

// Those of [aliases] and of each model's `aliases`.
std::vector<engine::Alias> configured_aliases(const Config& config);

}  // namespace hearth::app
