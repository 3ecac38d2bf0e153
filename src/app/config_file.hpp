// The TOML file as a flat list of what it says, and where. The only user of the TOML library.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "app/settings.hpp"

namespace hearth::app {

// What a person must correct: one line, with file and line where there is one. Exit code 2.
class ConfigError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct FileEntry {
  std::vector<std::string> path;  // {"server", "idle_time"}; a table without entries stands for itself
  Written value;
  std::size_t line;
};

// Ordered by key. Throws ConfigError for a file that cannot be read or is not TOML.
std::vector<FileEntry> read_config_file(const std::string& path);

}  // namespace hearth::app
