// Keeps /readyz correct: it is true when the default model has produced a token and its engine has not
// failed since.
#pragma once

#include <string>

#include "api/pipeline.hpp"
#include "domain/model_directory.hpp"
#include "engine/engines.hpp"

namespace hearth::app {

// The default model where the configuration names none: the first that belongs to no project. Null when
// there is none.
const engine::Model* first_for_everyone(const std::vector<engine::Model>& models);

// Runs until cancelled. Probes at start, again with growing pauses while that fails, and whenever the default
// model's engine was restarted.
Task<void> watch_readiness(api::ProcessState& process, domain::ModelDirectory& directory,
                           engine::Engines& engines, std::string default_model, const Clock& clock);

}  // namespace hearth::app
