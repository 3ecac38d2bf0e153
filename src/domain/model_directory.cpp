#include "domain/model_directory.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/log.hpp"
#include "domain/model_spec.hpp"

namespace hearth::domain {
namespace {

constexpr std::chrono::seconds reload_patience{30};

// What a model's definition leaves to its files. Blocks on the disk.
void complete_from_files(engine::Model& model) {
  engine::EngineFacts facts = model.engine->read_facts();
  if (model.capabilities.empty()) model.capabilities = std::move(facts.capabilities);
  if (model.memory_bytes == 0) model.memory_bytes = facts.memory_bytes;
  model.context = facts.context;
}

// What can be served, and why the rest cannot.
struct Assembly {
  std::vector<engine::Model> models;
  std::vector<engine::Alias> aliases;
  std::set<std::string> complaints;

  bool has_model(std::string_view id) const {
    return std::ranges::find(models, id, &engine::Model::id) != models.end();
  }
  void leave_out(std::string_view what, std::string_view name, std::string_view cause) {
    complaints.insert(fmt::format("{} '{}': {}", what, name, cause));
  }
};

void add_registered(Assembly& assembly, const store::ModelRecord& record) {
  const std::string& id = record.id.str();
  if (assembly.has_model(id)) {
    assembly.leave_out("model", id, "the configuration defines one of that name");
    return;
  }
  try {
    engine::Model model = parse_model_record(record);
    complete_from_files(model);
    assembly.models.push_back(std::move(model));
  } catch (const std::exception& error) {
    assembly.leave_out("model", id, error.what());
  }
}

Assembly assemble(const ConfiguredModels& configured, const std::vector<store::ModelRecord>& records,
                  const std::vector<store::ModelAlias>& registered_aliases) {
  Assembly assembly{configured.models, {}, {}};
  for (const store::ModelRecord& record : records)
    add_registered(assembly, record);
  std::vector<engine::Alias> candidates = configured.aliases;
  for (const store::ModelAlias& alias : registered_aliases)
    candidates.push_back({alias.name, alias.target});
  assembly.aliases = resolvable_aliases(assembly.models, candidates);
  for (const engine::Alias& alias : candidates) {
    if (std::ranges::find(assembly.aliases, alias.name, &engine::Alias::name) == assembly.aliases.end()) {
      assembly.leave_out("alias", alias.name,
                         fmt::format("'{}' leads to no model, or a model has its name", alias.target));
    }
  }
  return assembly;
}

void drop_incomplete(std::vector<engine::Model>& models) {
  std::erase_if(models, [](engine::Model& model) {
    try {
      complete_from_files(model);
      return false;
    } catch (const std::exception& error) {
      log::warn("model left out", {{"model", model.id}, {"cause", error.what()}});
      return true;
    }
  });
}

}  // namespace

std::vector<engine::Alias> resolvable_aliases(const std::vector<engine::Model>& models,
                                              std::vector<engine::Alias> candidates) {
  std::vector<engine::Alias> resolved;
  const auto leads_somewhere = [&](std::string_view target) {
    return std::ranges::find(models, target, &engine::Model::id) != models.end() ||
           std::ranges::find(resolved, target, &engine::Alias::name) != resolved.end();
  };
  const auto is_taken = [&](const engine::Alias& alias) { return leads_somewhere(alias.name); };
  // From the models outwards: chains of any length resolve, circles and dead ends never do.
  for (bool grew = true; grew;) {
    grew = false;
    for (engine::Alias& alias : candidates) {
      if (alias.name.empty() || is_taken(alias) || !leads_somewhere(alias.target)) continue;
      resolved.push_back(std::exchange(alias, {}));
      grew = true;
    }
  }
  return resolved;
}

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
  drop_incomplete(configured_.models);
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

Task<Target> ModelDirectory::get_target(std::string_view name, const ProjectId& project) {
  Target target{.snapshot = co_await current(), .name = std::string(name)};
  target.model = target.snapshot->find(name, project);
  if (!target.model) throw ApiError::model_not_found(name);
  co_return target;
}

Task<void> ModelDirectory::reload() {
  const auto turn = co_await reloading_.acquire(1, reload_patience);
  if (!turn) throw ApiError::unavailable("overloaded", "The list of models could not be read in time.");
  const std::uint64_t token = database_.change_token();
  auto records = co_await store_.list();
  auto aliases = co_await store_.list_aliases();
  // Most commits have nothing to do with models. What was left out may have become usable, so it is tried
  // again.
  const bool same = loaded_ && complaints_.empty() && records == records_ && aliases == registered_aliases_;
  if (!same) {
    Assembly assembly = co_await blocking_.run([&] { return assemble(configured_, records, aliases); });
    for (const std::string& complaint : assembly.complaints) {
      if (!complaints_.contains(complaint)) log::warn("left out of the catalogue", {{"cause", complaint}});
    }
    catalogue_.replace(std::make_shared<const engine::CatalogueSnapshot>(std::move(assembly.models),
                                                                         std::move(assembly.aliases)));
    complaints_ = std::move(assembly.complaints);
    records_ = std::move(records);
    registered_aliases_ = std::move(aliases);
    loaded_ = true;
  }
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
