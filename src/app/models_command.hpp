// `hearth models`: what can be asked for, and the models and aliases registered in the store.
//
// Works on the data directory itself, with or without a server beside it; a running server notices.
// Everything blocks. Results go to standard output, progress to standard error; failures are thrown as
// std::exception with one line for the terminal.
#pragma once

#include <string>
#include <string_view>

#include "app/config_load.hpp"

namespace hearth::app {

// What happens to a registered model of the same name.
enum class OnConflict { refuse, replace };

// Models of the configuration, registered ones and aliases, as a table.
void list_models(const Config& config);

// One of them, with what its file says.
void show_model(const Config& config, const std::string& name);

// Registers the model that `flags` describe: `models.NAME.KEY` values, checked as those of the configuration.
void add_model(ConfigSources sources, const std::string& name, const std::vector<FlagValue>& flags,
               OnConflict on_conflict);

// Forgets a registered model and the aliases that name it. Its file stays.
void remove_model(const Config& config, const std::string& name);

void list_aliases(const Config& config);
void set_alias(const Config& config, const std::string& name, const std::string& target);
void remove_alias(const Config& config, const std::string& name);

}  // namespace hearth::app
