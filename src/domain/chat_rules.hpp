// What the contract cannot say about a generation request: rules between fields and between messages, and
// what a given model cannot do. Pure; throws ApiError that names the parameter.
#pragma once

#include "engine/catalogue/model.hpp"
#include "json/json.hpp"

namespace hearth::domain {

void check_chat_request(const json::object& request, const engine::Model& model);
void check_completion_request(const json::object& request, const engine::Model& model);

}  // namespace hearth::domain
