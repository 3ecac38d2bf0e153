// What must hold between settings, beyond the form of each: checked once, when all sources were read.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "app/config.hpp"

namespace hearth::app {

// Name of a setting, model table or alias → where it was written, as an error message starts ("FILE:LINE: ").
using Places = std::map<std::string, std::string>;

// Throws ConfigError.
void check_config(const Config& config, const Places& places);

// HOST:PORT, [IPV6]:PORT or unix:/PATH.
bool is_listen_address(std::string_view text);

}  // namespace hearth::app
