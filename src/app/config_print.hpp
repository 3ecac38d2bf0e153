// The settings in force and their sources: the output of `hearth config`, and docs/CONFIG.md.
#pragma once

#include <string>

#include "app/config_load.hpp"

namespace hearth::app {

// One line for each setting, as TOML, with its origin as a comment; secrets are "***".
std::string render_config(const LoadedConfig& loaded);

// docs/CONFIG.md.
std::string render_config_reference();

}  // namespace hearth::app
