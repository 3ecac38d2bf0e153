#include "domain/model_directory.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "domain/model_spec.hpp"
#include "engine/gguf_info.hpp"

namespace hearth::domain {
namespace {

// What a model's definition leaves to its file. Blocks on the disk.
void complete_from_file(engine::Model& model) {
  auto* llama = std::get_if<engine::LlamaSpec>(&model.backend);
  if (!llama) return;
  const auto info = engine::read_gguf_info(llama->file);
  if (!info) throw std::runtime_error(info.error());
  if (model.capabilities.empty()) model.capabilities = engine::derive_capabilities(*info, *llama);
  if (model.memory_bytes == 0) model.memory_bytes = engine::estimate_memory(*info, *llama);
}

std::vector<engine::Model> parse_records(const std::vector<store::ModelRecord>& records) {
  std::vector<engine::Model> models;
  for (const store::ModelRecord& record : records) {
    try {
      models.push_back(parse_model_record(record));
    } catch (const std::exception& error) {
      log::warn("model left out", {{"model", record.id.str()}, {"cause", error.what()}});
    }
  }
  return models;
}

void complete_or_drop(std::vector<engine::Model>& models) {
  std::erase_if(models, [](engine::Model& model) {
    try {
      complete_from_file(model);
      return false;
    } catch (const std::exception& error) {
      log::warn("model left out", {{"model", model.id}, {"cause", error.what()}});
      return true;
    }
  });
}

}  // namespace

ModelDirectory::ModelDirectory(ConfiguredModels configured, db::Database& database, engine::Engines& engines,
                               async::BlockingPool& blocking, const Clock& clock)
    : configured_(std::move(configured)),
      database_(database),
      store_(database),
      engines_(engines),
      blocking_(blocking),
      clock_(clock),
      catalogue_(std::make_shared<const engine::CatalogueSnapshot>(std::vector<engine::Model>{},
                                                                   std::vector<engine::Alias>{})) {
  // Read once, at start: a configured model whose file is missing is left out and said so in the log.
  complete_or_drop(configured_.models);
}

Task<std::shared_ptr<const engine::CatalogueSnapshot>> ModelDirectory::current() {
  const auto now = clock_.steady_now().time_since_epoch();
  auto checked = checked_.load(std::memory_order_acquire);
  const bool due = now - SteadyTime::duration(checked) >= staleness;
  // One request looks, the others go on with what they have.
  if (due && checked_.compare_exchange_strong(checked, now.count())) {
    if (database_.change_token() != seen_token_.load()) co_await reload();
  }
  co_return catalogue_.snapshot();
}

Task<void> ModelDirectory::reload() {
  const std::uint64_t token = database_.change_token();
  const auto records = co_await store_.list();
  const auto registered_aliases = co_await store_.list_aliases();
  auto snapshot = co_await blocking_.run([this, &records, &registered_aliases] {
    std::vector<engine::Model> models = configured_.models;
    std::vector<engine::Model> registered = parse_records(records);
    complete_or_drop(registered);
    std::vector<engine::Alias> aliases;
    for (const store::ModelAlias& alias : registered_aliases)
      aliases.push_back({alias.name, alias.target});
    for (engine::Model& model : registered) {
      const bool taken = std::ranges::any_of(models, [&](const auto& other) { return other.id == model.id; });
      if (taken) {
        log::warn("model left out",
                  {{"model", model.id}, {"cause", "the configuration defines one of that name"}});
      } else {
        models.push_back(std::move(model));
      }
    }
    const auto exists = [&](std::string_view name) {
      return std::ranges::any_of(models, [&](const auto& model) { return model.id == name; }) ||
             std::ranges::any_of(aliases, [&](const auto& alias) { return alias.name == name; }) ||
             std::ranges::any_of(configured_.aliases, [&](const auto& alias) { return alias.name == name; });
    };
    std::vector<engine::Alias> all = configured_.aliases;
    for (engine::Alias& alias : aliases) {
      const bool taken =
          std::ranges::any_of(all, [&](const auto& other) { return other.name == alias.name; });
      if (!taken) all.push_back(std::move(alias));
    }
    std::erase_if(all, [&](const engine::Alias& alias) {
      if (exists(alias.target)) return false;
      log::warn("alias left out", {{"alias", alias.name}, {"cause", "it names no model: " + alias.target}});
      return true;
    });
    return std::make_shared<const engine::CatalogueSnapshot>(std::move(models), std::move(all));
  });
  catalogue_.replace(std::move(snapshot));
  seen_token_.store(token);
  checked_.store(clock_.steady_now().time_since_epoch().count());
}

Task<void> ModelDirectory::remove(const engine::Model& model) {
  const std::string id = model.id;  // the snapshot that holds `model` is about to be replaced
  co_await store_.remove(ModelId(id));
  co_await reload();
  engines_.forget(id);
}

}  // namespace hearth::domain
