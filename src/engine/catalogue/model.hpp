// A model of the catalogue: what it is called, what it can do, who computes it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/prices.hpp"

namespace hearth::engine {

enum class Capability { chat, completion, embedding, vision, tools, infill };

// A GGUF file served by a llama-server child of this process.
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

// Any server that speaks the OpenAI API.
struct UpstreamSpec {
  std::vector<std::string> base_urls;          // replicas, each with its /v1
  std::string api_key;                         // secret; empty = none sent
  std::string model;                           // its name there; empty = the same as here
  std::chrono::milliseconds timeout{600'000};  // for a plain reply, and for the header of a streamed one

  bool operator==(const UpstreamSpec&) const = default;
};

struct Model {
  std::string id;
  std::string owned_by = "hearth";
  UnixSeconds created = 0;
  std::set<Capability> capabilities;
  std::variant<LlamaSpec, UpstreamSpec> backend;
  // A fine-tuned model belongs to a project and may be deleted through the API.
  bool fine_tuned = false;
  std::optional<ProjectId> project;
  contract::Prices prices;
  std::uint64_t memory_bytes = 0;  // what a loaded engine takes; 0 = measured from the file
};

struct Alias {
  std::string name;
  std::string target;
};

}  // namespace hearth::engine
