#include "app/config.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>

#include "engine/engine_kinds.hpp"

namespace hearth::app {
namespace {

std::set<engine::Capability> capabilities_of(const ModelConfig& model) {
  std::set<engine::Capability> capabilities;
  for (const std::string& name : model.capabilities) {
    if (const auto capability = engine::parse_capability(name)) capabilities.insert(*capability);
  }
  // Hearth does not know what an upstream can do: the upstream itself refuses what it cannot.
  if (capabilities.empty() && !model.base_urls.empty()) {
    using enum engine::Capability;
    capabilities = {chat, completion, embedding, vision, tools};
  }
  return capabilities;
}

json::array render_texts(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts)
    out.push_back(json::value(text));
  return out;
}

// In the members that the adapters read.
json::object engine_definition(const ModelConfig& model, const Config::Engines& engines) {
  json::object out;
  if (model.file.empty()) {
    out["base_urls"] = render_texts(model.base_urls);
    out["api_key"] = model.api_key;
    out["model"] = model.model;
    out["timeout_ms"] = model.timeout.count();
    return out;
  }
  out["file"] = model.file;
  out["projector"] = model.projector;
  out["context"] = model.context;
  out["slots"] = model.slots != 0 ? model.slots : engines.slots;
  out["threads"] = model.threads != 0 ? model.threads : engines.threads;
  out["chat_template"] = model.chat_template;
  out["arguments"] = render_texts(model.arguments);
  return out;
}

}  // namespace

std::vector<net::ListenAddress> listen_addresses(const Config& config) {
  std::vector<net::ListenAddress> addresses;
  for (const std::string& text : config.server.listen) {
    net::ListenAddress address{.text = text};
    if (!config.server.tls.certificate_file.empty() && !text.starts_with("unix:")) {
      address.tls = config.server.tls;
    }
    addresses.push_back(std::move(address));
  }
  return addresses;
}

engine::EngineSettings engine_settings(const Config& config) {
  return {.programs = {{"llama", config.engines.llama_server}},
          .run_directory = config.data + "/run",
          .memory_budget = config.engines.memory_budget,
          .idle_unload = config.engines.idle_unload,
          .load_timeout = config.engines.load_timeout,
          .stop_grace = config.engines.stop_grace};
}

domain::LimiterSettings limiter_settings(const Config& config) {
  const auto limit = [](std::uint64_t value, std::int64_t unit = 1) {
    return value == 0 ? domain::unlimited : static_cast<std::int64_t>(value) * unit;
  };
  const Config::Limits& limits = config.limits;
  return {.enabled = limits.enabled,
          .defaults = {.requests = limit(limits.requests_per_minute),
                       .tokens = limit(limits.tokens_per_minute),
                       .images = limit(limits.images_per_minute),
                       .audio_bytes = limit(limits.audio_megabytes_per_minute, domain::bytes_per_megabyte),
                       .requests_per_day = limit(limits.requests_per_day),
                       .batch_input_tokens_per_day = limit(limits.batch_input_tokens_per_day)},
          .reservation_time = limits.reservation_time,
          .failure = limits.redis_failure};
}

jobs::RunnerSettings runner_settings(const Config& config) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return {.places = config.jobs.places,
          .lease_time = config.jobs.lease_time,
          .heartbeat = config.jobs.heartbeat,
          .host = host.data()};
}

std::vector<engine::Model> configured_models(const Config& config) {
  std::vector<engine::Model> models;
  for (const auto& [name, entry] : config.models) {
    engine::Model model;
    model.id = name;
    model.owned_by = entry.owned_by;
    model.capabilities = capabilities_of(entry);
    model.memory_bytes = entry.memory;
    model.prices = entry.prices;
    model.engine = engine::parse_engine_spec(engine_definition(entry, config.engines));
    models.push_back(std::move(model));
  }
  return models;
}

std::vector<engine::Alias> configured_aliases(const Config& config) {
  std::vector<engine::Alias> aliases;
  for (const auto& [name, target] : config.aliases)
    aliases.push_back({name, target});
  for (const auto& [id, model] : config.models) {
    for (const std::string& name : model.aliases)
      aliases.push_back({name, id});
  }
  return aliases;
}

}  // namespace hearth::app
