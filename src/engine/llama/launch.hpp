// How a llama-server is started: its flags, its environment, its socket.
#pragma once

#include <set>
#include <string>

#include "engine/catalogue/gguf_info.hpp"
#include "engine/llama/spec.hpp"
#include "engine/process/child_process.hpp"

namespace hearth::engine {

struct LlamaLaunch {
  std::string program;
  std::string socket_path;  // ends in .sock, which is how llama-server knows it for one
  std::string log_file;
  LlamaSpec spec;
  GgufInfo file;
  std::set<Capability> capabilities;
};

ChildSpec make_child_spec(const LlamaLaunch& launch);

}  // namespace hearth::engine
