// How a llama-server is started: its flags, its environment, its socket.
#pragma once

#include <set>
#include <string>

#include "engine/catalogue/gguf_info.hpp"
#include "engine/catalogue/model.hpp"
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

// "Qwen/Qwen3 8B" → "Qwen_Qwen3_8B": safe in a file name and short enough for a socket's path.
std::string file_name_of(const std::string& model);

ChildSpec make_child_spec(const LlamaLaunch& launch);

}  // namespace hearth::engine
