// The model that comes with the program, for a first start without any set-up.
#pragma once

#include <optional>
#include <string_view>

#include "engine/catalogue/model.hpp"

namespace hearth::app {

inline constexpr std::string_view builtin_model_name = "hearth-starter";

// When its file lies beside the program. A guide to Hearth, and to nothing else (models/starter).
std::optional<engine::Model> find_builtin_model();

}  // namespace hearth::app
