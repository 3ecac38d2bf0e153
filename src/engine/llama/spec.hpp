// A GGUF file served by a llama-server child of this process: its definition, and what follows from the file.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/catalogue/gguf_info.hpp"
#include "engine/engine_spec.hpp"

namespace hearth::engine {

inline constexpr std::string_view llama_kind = "llama";

struct LlamaSpec {
  std::string file;                    // absolute path
  std::string projector;               // multimodal projector (mmproj), empty when the model does not see
  std::uint32_t context = 0;           // tokens per slot; 0 = what the model was trained with
  std::uint32_t slots = 4;             // concurrent generations
  std::uint32_t threads = 0;           // 0 = the machine's cores
  std::string chat_template;           // Jinja; empty = the file's own
  std::vector<std::string> arguments;  // passed to llama-server as they are

  bool operator==(const LlamaSpec&) const = default;
};

EngineSpecPtr make_llama_engine(LlamaSpec spec);
EngineSpecPtr parse_llama_engine(const json::object& definition);

// What a model of that file can do when its definition does not say.
std::set<Capability> derive_capabilities(const GgufInfo& info, const LlamaSpec& spec);
// The tokens that one generation may use: what the definition says, at most what the model was trained with
// where it does not.
std::uint32_t context_of(const GgufInfo& info, const LlamaSpec& spec);
// What a loaded engine takes: weights, projector, caches of all slots, work space.
std::uint64_t estimate_memory(const GgufInfo& info, const LlamaSpec& spec);

}  // namespace hearth::engine
