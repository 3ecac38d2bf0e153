// The file that hands the first start's keys to a program.
#pragma once

#include <string>

namespace hearth::app {

// What a data directory's first start made. The keys exist nowhere else in clear.
struct BootstrapFacts {
  std::string base_url;  // with its /v1, as SDKs take it
  std::string admin_key;
  std::string api_key;
  std::string organization_id;
  std::string project_id;
  std::string default_model;
};

// Writes {"base_url", "admin_key", "api_key", "organization_id", "project_id", "default_model"} with mode
// 0600, durably and at once: whoever sees the file sees all of it, and at no instant can another user open
// it. An existing file is replaced. Blocking; called once, by Server at the first start. Throws
// std::runtime_error that names the file; then no file is left behind.
void write_bootstrap_file(const std::string& path, const BootstrapFacts& facts);

}  // namespace hearth::app
