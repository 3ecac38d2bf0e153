// The kinds of engines that a definition can name: the one place that knows all adapters.
#pragma once

#include "engine/engine_spec.hpp"
#include "json/json.hpp"

namespace hearth::engine {

// From the members of a definition, in the configuration or in the store: `engine` names the kind; without it
// `base_urls` means an upstream and `file` a llama-server. Throws std::runtime_error with the end of a
// sentence that begins with the model's name.
EngineSpecPtr parse_engine_spec(const json::object& definition);

}  // namespace hearth::engine
