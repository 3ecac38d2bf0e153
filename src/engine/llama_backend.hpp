// The adapter for llama.cpp's server: makes good what it gets wrong against the API.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "engine/backend.hpp"
#include "engine/gguf_info.hpp"
#include "engine/model.hpp"

namespace hearth::engine {

// A running llama-server that answers /health with 200.
struct LlamaEndpoint {
  std::string socket_path;    // UNIX socket
  std::uint32_t slots = 1;    // concurrent generations
  std::uint32_t context = 0;  // tokens per slot
  std::set<Capability> capabilities;
  GgufInfo file;
};

// Called by the supervisor once per child; dies after its last lease. Thread: any; the backend is used from
// every executor of the runtime.
std::unique_ptr<Backend> make_llama_backend(LlamaEndpoint endpoint);

}  // namespace hearth::engine
