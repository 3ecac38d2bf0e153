// `hearth models`: what can be asked for, and the models and aliases registered in the store.
//
// Works on the data directory itself, with or without a server beside it; a running server notices.
// Everything blocks. Results go to standard output, progress to standard error; failures are thrown as
// std::exception with one line for the terminal.
#pragma once

#include <map>
#include <string>

#include "app/config_load.hpp"

namespace hearth::app {

// What happens to a registered model of the same name.
enum class OnConflict { refuse, replace };

// Models of the configuration, registered ones and aliases, as a table.
void list_models(const Config& config);

// One of them, with what its file says.
void show_model(const Config& config, const std::string& name);

// Throws when a model of that name cannot be registered.
void check_addable(const Config& config, const std::string& name, OnConflict on_conflict);

// Registers the model that `settings` describe: the keys of a `[models."NAME"]` table as flags write them,
// under the same rules. Throws ConfigError too.
void add_model(ConfigSources sources, const std::string& name,
               const std::map<std::string, std::string>& settings, OnConflict on_conflict);

// Forgets a registered model and the aliases that name it. Its file stays.
void remove_model(const Config& config, const std::string& name);

void list_aliases(const Config& config);
void set_alias(const Config& config, const std::string& name, const std::string& target);
void remove_alias(const Config& config, const std::string& name);

}  // namespace hearth::app
