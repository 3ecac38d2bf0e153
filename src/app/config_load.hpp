// From file, environment and flags to one Config, knowing where each value came from.
//
// Rising precedence: file < environment < flags. The file is the one of --config, else of $HEARTH_CONFIG,
// else DATA/hearth.toml where that exists.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.hpp"
#include "app/config_file.hpp"

namespace hearth::app {

// One `--listen ADDRESS` or `--set NAME=VALUE`. Beside the settings a flag may name `models.NAME.KEY` and
// `aliases.NAME`; the last dot of the former separates.
struct FlagValue {
  std::string flag;  // "--listen", "--set"
  std::string setting;
  std::string value;
};

struct ConfigSources {
  std::optional<std::string> file;
  std::map<std::string, std::string> environment;
  std::vector<FlagValue> flags;
  std::string working_directory;
};

struct LoadedConfig {
  Config config;
  // Setting → "file PATH:LINE" | "environment NAME" | "flag --listen"; what is absent has its default. Models
  // are named `models."NAME".KEY`, aliases `aliases."NAME"`.
  std::map<std::string, std::string> origins;
  std::string file;  // empty when there is none
};

// Throws ConfigError: one line that says where, which setting, and what would be right.
LoadedConfig load_config(const ConfigSources& sources);

// The environment of this process.
std::map<std::string, std::string> process_environment();

// `models."NAME"`, `models."NAME".KEY`, `aliases."NAME"`: as messages and origins write them.
std::string model_table_name(std::string_view model);
std::string model_setting_name(std::string_view model, std::string_view setting);
std::string alias_setting_name(std::string_view alias);

}  // namespace hearth::app
