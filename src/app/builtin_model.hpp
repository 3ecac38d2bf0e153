// The model that comes with the program, for a first start without any set-up.
#pragma once

#include <optional>

#include "engine/model.hpp"

namespace hearth::app {

// `hearth-tiny`, when its file lies beside the program. It babbles: random words in the API's shapes.
std::optional<engine::Model> find_builtin_model();

}  // namespace hearth::app
