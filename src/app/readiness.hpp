// Keeps /readyz true to its word: the default model has produced a token, and its engine has not failed
// since.
#pragma once

#include <string>

#include "api/pipeline.hpp"
#include "domain/model_directory.hpp"
#include "engine/engines.hpp"

namespace hearth::app {

// Runs until cancelled. Probes at start, again with growing pauses while that fails, and whenever the default
// model's engine was restarted.
Task<void> watch_readiness(api::ProcessState& process, domain::ModelDirectory& directory,
                           engine::Engines& engines, std::string default_model, const Clock& clock);

}  // namespace hearth::app
