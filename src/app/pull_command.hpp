// `hearth models pull`: fetches a model file into the cache and registers it.
#pragma once

#include <string>
#include <vector>

#include "app/config_load.hpp"
#include "app/models_command.hpp"

namespace hearth::app {

struct PullRequest {
  std::string source;                           // hf:ORG/REPO/FILE.gguf
  std::string name;                             // of the model; empty = that of the file
  std::string sha256;                           // what the file must be; empty = what the hub says
  std::map<std::string, std::string> settings;  // of the model: "slots" → "8"
  OnConflict on_conflict = OnConflict::refuse;
};

// Blocks, shows its progress on standard error; what was fetched before an interruption is kept and used the
// next time. A file that is no model is deleted. Throws std::exception with one line for the terminal.
void pull_model(const ConfigSources& sources, PullRequest request);

}  // namespace hearth::app
