// A registered model between the catalogue and the store: the JSON of its definition.
#pragma once

#include "engine/catalogue/model.hpp"
#include "json/json.hpp"
#include "store/models.hpp"

namespace hearth::domain {

// Pure. What the record's columns hold (id, tenant, origin, time) is not repeated in the spec.
store::ModelRecord render_model_record(const engine::Model& model,
                                       const std::optional<store::Tenant>& tenant);
// Throws std::runtime_error that names the model and what is wrong with its spec.
engine::Model parse_model_record(const store::ModelRecord& record);

}  // namespace hearth::domain
