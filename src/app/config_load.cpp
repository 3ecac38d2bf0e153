#include "app/config_load.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/config_check.hpp"
#include "app/settings.hpp"
#include "base/text.hpp"

namespace hearth::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view models_table = "models";
constexpr std::string_view aliases_table = "aliases";

// Where a value was written: `place` opens an error's line, `origin` is what `hearth config` prints.
struct Source {
  std::string place;
  std::string origin;
  std::string base;  // relative paths count from here
};

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  // The right key in the wrong table is a closer match than the edit distance says.
  const auto last = [](std::string_view name) { return name.substr(name.rfind('.') + 1); };
  const auto same_key =
      std::ranges::find_if(candidates, [&](std::string_view c) { return last(c) == last(word); });
  if (same_key != candidates.end()) return fmt::format("; did you mean {}?", *same_key);
  const auto near = text::nearest(word, candidates);
  return near ? fmt::format("; did you mean {}?", *near) : std::string();
}

template <class Rows>
std::vector<std::string_view> names_of(const Rows& rows) {
  std::vector<std::string_view> names;
  for (const Setting& setting : rows)
    names.push_back(setting.name);
  return names;
}

bool is_section(std::string_view name) {
  return std::ranges::any_of(settings(), [&](const Setting& setting) {
    return setting.name.size() > name.size() && setting.name.starts_with(name) &&
           setting.name[name.size()] == '.';
  });
}

class Loader {
 public:
  explicit Loader(const ConfigSources& sources) : sources_(sources) {}

  LoadedConfig load() {
    loaded_.file = find_file();
    if (!loaded_.file.empty()) apply_file();
    apply_environment();
    apply_flags();
    finish();
    return std::move(loaded_);
  }

 private:
  std::string absolute(std::string_view path) const {
    return (fs::path(sources_.working_directory) / path).lexically_normal().string();
  }

  const std::string* environment(const std::string& name) const {
    const auto found = sources_.environment.find(name);
    return found == sources_.environment.end() ? nullptr : &found->second;
  }

  // The data directory before any file is read: flag, environment, default.
  std::string data_directory() const {
    std::string data = loaded_.config.data;
    if (const std::string* value = environment(environment_name("data"))) data = *value;
    for (const FlagValue& flag : sources_.flags) {
      if (flag.setting == "data") data = flag.value;
    }
    return absolute(data);
  }

  std::string find_file() const {
    if (sources_.file) return absolute(*sources_.file);
    if (const std::string* path = environment("HEARTH_CONFIG"); path != nullptr && !path->empty()) {
      return absolute(*path);
    }
    const std::string beside_data = data_directory() + "/hearth.toml";
    return fs::exists(beside_data) ? beside_data : std::string();
  }

  void apply_file() {
    const std::string base = fs::path(loaded_.file).parent_path().string();
    for (const FileEntry& entry : read_config_file(loaded_.file)) {
      const std::string place = fmt::format("{}:{}", loaded_.file, entry.line);
      apply(entry.path, entry.value, {place + ": ", "file " + place, base});
    }
  }

  void apply_environment() {
    std::set<std::string> known{"HEARTH_CONFIG"};
    for (const Setting& setting : settings()) {
      const std::string name = environment_name(setting.name);
      known.insert(name);
      if (const std::string* value = environment(name)) {
        apply_setting(std::string(setting.name), Untyped{*value}, environment_source(name));
      }
    }
    // Other programs may use variables with this prefix; those that start with the name of one of our
    // tables are typing errors.
    const std::vector<std::string_view> candidates(known.begin(), known.end());
    for (const auto& [name, value] : sources_.environment) {
      if (known.contains(name) || !starts_like_a_section(name)) continue;
      const auto near = text::nearest(name, candidates);
      throw ConfigError(fmt::format("environment {}: unknown setting{}", name,
                                    near ? fmt::format("; did you mean {}?", *near) : std::string()));
    }
  }

  static bool starts_like_a_section(std::string_view variable) {
    return std::ranges::any_of(settings(), [&](const Setting& setting) {
      const std::size_t dot = setting.name.find('.');
      return dot != std::string_view::npos &&
             variable.starts_with(environment_name(setting.name.substr(0, dot + 1)));
    });
  }

  Source environment_source(const std::string& name) const {
    return {fmt::format("environment {}: ", name), "environment " + name, sources_.working_directory};
  }

  void apply_flags() {
    for (const FlagValue& flag : sources_.flags) {
      const Source source{flag.flag + ": ", "flag " + flag.flag, sources_.working_directory};
      apply(split_name(flag.setting), Untyped{flag.value}, source);
    }
  }

  // "models.gpt-4.1.file" → models, gpt-4.1, file; "aliases.gpt-4.1" → aliases, gpt-4.1.
  static std::vector<std::string> split_name(std::string_view name) {
    const std::size_t first = name.find('.');
    const std::size_t last = name.rfind('.');
    if (first == std::string_view::npos) return {std::string(name)};
    const std::string_view table = name.substr(0, first);
    if (table == models_table && last > first) {
      return {std::string(table), std::string(name.substr(first + 1, last - first - 1)),
              std::string(name.substr(last + 1))};
    }
    return {std::string(table), std::string(name.substr(first + 1))};
  }

  void apply(const std::vector<std::string>& path, const Written& value, const Source& source) {
    if (path.front() == models_table) return apply_model(path, value, source);
    if (path.front() == aliases_table) return apply_alias(path, value, source);
    apply_setting(fmt::format("{}", fmt::join(path, ".")), value, source);
  }

  void apply_setting(const std::string& name, const Written& value, const Source& source) {
    if (const auto* setting = find_setting(name)) {
      put(*setting, setting->slot(loaded_.config), name, value, source);
      return;
    }
    if (is_section(name)) {
      if (std::holds_alternative<Foreign>(value)) return;  // an empty table
      throw ConfigError(fmt::format("{}{}: expected a table of settings", source.place, name));
    }
    auto candidates = names_of(settings());
    candidates.insert(candidates.end(), {models_table, aliases_table});
    throw ConfigError(
        fmt::format("{}unknown setting {}{}", source.place, name, did_you_mean(name, candidates)));
  }

  void apply_model(const std::vector<std::string>& path, const Written& value, const Source& source) {
    const bool is_table = std::holds_alternative<Foreign>(value);
    if (path.size() == 1 && is_table) return;
    if (path.size() < 2 || path[1].empty() || (path.size() == 2 && !is_table)) {
      throw ConfigError(
          fmt::format("{}{}: expected a table [models.\"NAME\"]", source.place, fmt::join(path, ".")));
    }
    ModelConfig& model = loaded_.config.models[path[1]];
    places_.emplace(model_table_name(path[1]), source.place);
    if (path.size() == 2) return;
    if (path.size() > 3) {
      throw ConfigError(fmt::format("{}{}: expected [models.\"NAME\"]; a name with dots needs its quotes",
                                    source.place, fmt::join(path, ".")));
    }
    const std::string& key = path[2];
    const std::string name = model_setting_name(path[1], key);
    const auto* setting = find_model_setting(key);
    if (setting == nullptr) {
      throw ConfigError(fmt::format("{}unknown setting {}{}", source.place, name,
                                    did_you_mean(key, names_of(model_settings()))));
    }
    put(*setting, setting->slot(model), name, value, source);
  }

  void apply_alias(const std::vector<std::string>& path, const Written& value, const Source& source) {
    if (path.size() == 1 && std::holds_alternative<Foreign>(value)) return;
    static constexpr Setting alias{.name = aliases_table, .form = Form::text, .doc = {}};
    if (path.size() != 2 || path[1].empty()) {
      throw ConfigError(fmt::format("{}{}: expected \"NAME\" = \"TARGET\"; a name with dots needs its quotes",
                                    source.place, fmt::join(path, ".")));
    }
    put(alias, &loaded_.config.aliases[path[1]], alias_setting_name(path[1]), value, source);
  }

  void put(const Setting& setting, const Slot& slot, const std::string& name, const Written& value,
           const Source& source) {
    if (const auto done = assign(setting, slot, value, source.base); !done) {
      throw ConfigError(fmt::format("{}{}: {}", source.place, name, done.error()));
    }
    loaded_.origins[name] = source.origin;
    places_[name] = source.place;
  }

  // Everything that depends on several values.
  void finish() {
    Config& config = loaded_.config;
    config.data = absolute(config.data);
    if (config.database.path.empty()) config.database.path = config.data + "/hearth.db";
    if (config.blobs.path.empty()) config.blobs.path = config.data + "/blobs";
    if (config.pull.cache.empty()) config.pull.cache = config.data + "/models";
    if (config.engines.llama_server.empty()) config.engines.llama_server = find_llama_server();
    check_config(config, places_);
    for (auto& [name, model] : config.models) {
      read_secret(name, model);
      read_template(name, model);
    }
  }

  void read_secret(const std::string& name, ModelConfig& model) const {
    if (model.api_key_env.empty()) return;
    const std::string* key = environment(model.api_key_env);
    if (key == nullptr || key->empty()) {
      throw ConfigError(fmt::format("{}{}: the environment variable {} is not set",
                                    places_.at(model_setting_name(name, "api_key_env")),
                                    model_setting_name(name, "api_key_env"), model.api_key_env));
    }
    model.api_key = *key;
  }

  void read_template(const std::string& name, ModelConfig& model) const {
    if (model.chat_template_file.empty()) return;
    std::ifstream file(model.chat_template_file, std::ios::binary);
    model.chat_template.assign(std::istreambuf_iterator<char>(file), {});
    if (model.chat_template.empty()) {
      throw ConfigError(fmt::format(
          "{}{}: {} cannot be read or is empty", places_.at(model_setting_name(name, "chat_template_file")),
          model_setting_name(name, "chat_template_file"), model.chat_template_file));
    }
  }

  // Beside this program, as installed; where a build tree says that it put it; else the first on PATH.
  std::string find_llama_server() const {
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
    std::vector<fs::path> places{program};
    std::string line;
    if (std::ifstream note(program.parent_path() / "llama_cpp.path"); std::getline(note, line)) {
      places.emplace_back(line);
    }
    if (const std::string* path = environment("PATH")) {
      for (std::size_t start = 0; start <= path->size();) {
        const std::size_t end = std::min(path->find(':', start), path->size());
        places.emplace_back(path->substr(start, end - start));
        start = end + 1;
      }
    }
    for (const fs::path& place : places) {
      const fs::path candidate = place / "llama-server";
      if (place.is_absolute() && ::access(candidate.c_str(), X_OK) == 0) return candidate.string();
    }
    return {};
  }

  const ConfigSources& sources_;
  LoadedConfig loaded_;
  Places places_;
};

}  // namespace

LoadedConfig load_config(const ConfigSources& sources) {
  return Loader(sources).load();
}

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

std::string model_table_name(std::string_view model) {
  return fmt::format("models.{}", quote(model));
}

std::string model_setting_name(std::string_view model, std::string_view setting) {
  return fmt::format("{}.{}", model_table_name(model), setting);
}

std::string alias_setting_name(std::string_view alias) {
  return fmt::format("aliases.{}", quote(alias));
}

}  // namespace hearth::app
