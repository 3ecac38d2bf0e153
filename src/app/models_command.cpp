#include "app/models_command.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/builtin_model.hpp"
#include "app/model_registry.hpp"
#include "app/quantities.hpp"
#include "app/settings.hpp"
#include "app/table.hpp"
#include "base/text.hpp"

namespace hearth::app {
namespace {

struct Listed {
  engine::Model model;
  std::string_view from;  // "configuration", "registered", "built in"
};

struct Known {
  std::vector<Listed> models;
  std::vector<engine::Alias> aliases;
};

[[noreturn]] void fail(std::string message) {
  throw std::runtime_error(std::move(message));
}

// `Aliases` holds engine::Alias or store::ModelAlias.
template <class Aliases>
bool has_alias(const Aliases& aliases, std::string_view name) {
  return std::ranges::any_of(aliases, [&](const auto& alias) { return alias.name == name; });
}

// What a server on this data directory would offer, in its precedence.
Known everything(const Config& config) {
  ModelRegistry registry(config, RegistryAccess::read);
  Known known;
  for (engine::Model& model : configured_models(config))
    known.models.push_back({std::move(model), "configuration"});
  for (engine::Model& model : registry.list()) {
    if (!config.models.contains(model.id)) known.models.push_back({std::move(model), "registered"});
  }
  if (known.models.empty()) {
    if (auto builtin = find_builtin_model()) known.models.push_back({std::move(*builtin), "built in"});
  }
  known.aliases = configured_aliases(config);
  for (const store::ModelAlias& alias : registry.aliases()) {
    if (!has_alias(known.aliases, alias.name)) known.aliases.push_back({alias.name, alias.target});
  }
  return known;
}

std::string words(const std::set<engine::Capability>& capabilities) {
  std::vector<std::string_view> names;
  for (engine::Capability capability : capabilities)
    names.push_back(engine::capability_name(capability));
  return fmt::format("{}", fmt::join(names, " "));
}

std::string capabilities_of(const engine::Model& model) {
  if (!model.capabilities.empty()) return words(model.capabilities);
  try {
    return words(model.engine->read_facts().capabilities);
  } catch (const std::runtime_error&) {
    return "file cannot be read";
  }
}

void print_fact(std::string_view name, std::string_view value) {
  if (!value.empty()) fmt::print("{:<14}{}\n", name, value);
}

void show_engine(const engine::Model& model) {
  for (const engine::EngineDetail& detail : model.engine->describe()) {
    const auto* text = std::get_if<std::string>(&detail.value);
    print_fact(detail.name,
               text ? *text : format_duration(std::get<std::chrono::milliseconds>(detail.value)));
  }
  const std::uint64_t memory =
      model.memory_bytes != 0 ? model.memory_bytes : model.engine->read_facts().memory_bytes;
  if (memory != 0) print_fact("memory", fmt::format("{} MiB", (memory + (1 << 20) - 1) >> 20));
}

// Names travel in URLs and log lines.
void check_name(std::string_view name) {
  const bool plain = std::ranges::all_of(name, [](char c) { return c > ' ' && c != 0x7F; });
  if (name.empty() || name.size() > 256 || !plain || !text::is_valid_utf8(name)) {
    fail(fmt::format("\"{}\" is not a model name: 1 to 256 bytes without spaces", name));
  }
}

// A registered definition goes through the configuration's loader: one set of rules, one set of messages.
engine::Model define(ConfigSources sources, const std::string& name,
                     const std::map<std::string, std::string>& settings, std::vector<std::string>& aliases) {
  for (const auto& [key, value] : settings) {
    std::string flag = "--" + key;
    std::ranges::replace(flag, '_', '-');
    sources.flags.push_back({flag, fmt::format("models.{}.{}", name, key), value});
  }
  const Config config = load_config(sources).config;
  const auto entry = config.models.find(name);
  if (entry == config.models.end()) fail("a model needs --file or --base-urls");
  aliases = entry->second.aliases;
  for (engine::Model& model : configured_models(config)) {
    if (model.id == name) return std::move(model);
  }
  std::unreachable();
}

}  // namespace

void list_models(const Config& config) {
  const Known known = everything(config);
  if (known.models.empty() && known.aliases.empty()) {
    fmt::print("No models. See hearth models add --help, hearth models pull --help.\n");
    return;
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "CAN", "FROM", "WHERE"}};
  for (const Listed& listed : known.models) {
    rows.push_back({listed.model.id, capabilities_of(listed.model), std::string(listed.from),
                    listed.model.engine->place()});
  }
  for (const engine::Alias& alias : known.aliases) {
    const bool configured = has_alias(configured_aliases(config), alias.name);
    rows.push_back({alias.name, "alias", configured ? "configuration" : "registered", "-> " + alias.target});
  }
  print_table(rows);
}

void show_model(const Config& config, const std::string& name) {
  const Known known = everything(config);
  std::string id = name;
  for (std::size_t step = 0; step <= known.aliases.size(); ++step) {  // a cycle ends too
    const auto alias = std::ranges::find(known.aliases, id, &engine::Alias::name);
    if (alias == known.aliases.end()) break;
    id = alias->target;
  }
  const auto found =
      std::ranges::find(known.models, id, [](const Listed& listed) { return listed.model.id; });
  if (found == known.models.end()) {
    std::vector<std::string_view> names;
    for (const Listed& listed : known.models)
      names.push_back(listed.model.id);
    const auto near = text::nearest(name, names);
    fail(fmt::format("no model {}{}", name, near ? fmt::format("; did you mean {}?", *near) : ""));
  }
  const engine::Model& model = found->model;
  print_fact("name", model.id);
  if (id != name) print_fact("asked as", name);
  print_fact("from", found->from);
  print_fact("owned by", model.owned_by);
  print_fact("can", capabilities_of(model));
  show_engine(model);
}

void check_addable(const Config& config, const std::string& name, OnConflict on_conflict) {
  check_name(name);
  if (config.models.contains(name)) fail(fmt::format("the configuration defines {}: change it there", name));
  if (has_alias(configured_aliases(config), name)) {
    fail(fmt::format("the configuration defines an alias {}", name));
  }
  ModelRegistry registry(config, RegistryAccess::read);
  if (has_alias(registry.aliases(), name)) {
    fail(fmt::format("there is an alias {}: hearth models alias {} --remove", name, name));
  }
  if (on_conflict == OnConflict::refuse && registry.find(name)) {
    fail(fmt::format("{} is registered already: --replace replaces it", name));
  }
}

void add_model(ConfigSources sources, const std::string& name,
               const std::map<std::string, std::string>& settings, OnConflict on_conflict) {
  const Config config = load_config(sources).config;
  check_addable(config, name, on_conflict);
  std::vector<std::string> aliases;
  engine::Model model = define(std::move(sources), name, settings, aliases);
  model.created = Clock().unix_now();
  const std::string about = fmt::format("{}, {}", model.engine->summarize(), capabilities_of(model));
  ModelRegistry registry(config, RegistryAccess::write);
  registry.put(model);
  for (const std::string& alias : aliases)
    registry.put_alias(alias, name);
  fmt::print("added {}: {}\n", name, about);
}

void remove_model(const Config& config, const std::string& name) {
  ModelRegistry registry(config, RegistryAccess::read);
  if (!registry.remove(name)) {
    if (config.models.contains(name))
      fail(fmt::format("the configuration defines {}: remove it there", name));
    fail(fmt::format("no registered model {}", name));
  }
  fmt::print("removed {}\n", name);
  for (const store::ModelAlias& alias : registry.aliases()) {
    if (alias.target != name || !registry.remove_alias(alias.name)) continue;
    fmt::print("removed its alias {}\n", alias.name);
  }
}

void list_aliases(const Config& config) {
  for (const engine::Alias& alias : everything(config).aliases)
    fmt::print("{} -> {}\n", alias.name, alias.target);
}

void set_alias(const Config& config, const std::string& name, const std::string& target) {
  check_name(name);
  const Known known = everything(config);
  const auto is_model = [&](std::string_view id) {
    return std::ranges::any_of(known.models, [&](const Listed& listed) { return listed.model.id == id; });
  };
  if (is_model(name)) fail(fmt::format("a model has the name {}", name));
  if (has_alias(configured_aliases(config), name)) {
    fail(fmt::format("the configuration defines the alias {}: change it there", name));
  }
  // Follow the chain that would result: it must end at a model and not form a cycle.
  std::string end = target;
  for (std::size_t step = 0; step <= known.aliases.size() && end != name; ++step) {
    const auto next = std::ranges::find(known.aliases, end, &engine::Alias::name);
    if (next == known.aliases.end()) break;
    end = next->target;
  }
  if (end == name) fail(fmt::format("{} would refer to itself", name));
  if (!is_model(end)) fail(fmt::format("no model {}", end));
  ModelRegistry(config, RegistryAccess::write).put_alias(name, target);
  fmt::print("{} -> {}\n", name, target);
}

void remove_alias(const Config& config, const std::string& name) {
  if (!ModelRegistry(config, RegistryAccess::read).remove_alias(name)) {
    fail(fmt::format("no registered alias {}", name));
  }
  fmt::print("removed the alias {}\n", name);
}

}  // namespace hearth::app
