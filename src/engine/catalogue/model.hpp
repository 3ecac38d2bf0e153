// A model of the catalogue: what it is called, what it can do, who computes it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/prices.hpp"
#include "engine/capability.hpp"
#include "engine/engine_spec.hpp"

namespace hearth::engine {

struct Model {
  std::string id;
  std::string owned_by = "hearth";
  UnixSeconds created = 0;
  std::set<Capability> capabilities;
  EngineSpecPtr engine;  // never null in a catalogue
  // A fine-tuned model belongs to a project and may be deleted through the API.
  bool fine_tuned = false;
  std::optional<ProjectId> project;
  contract::Prices prices;
  std::uint64_t memory_bytes = 0;  // what a loaded engine takes; 0 = what its files say
  std::uint32_t context = 0;       // tokens that one request may use; 0 = not known
};

struct Alias {
  std::string name;
  std::string target;
};

}  // namespace hearth::engine
