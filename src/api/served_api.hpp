// What a pipeline serves: a contract, and whoever handles its operations.
#pragma once

#include <functional>
#include <string_view>

#include "async/task.hpp"
#include "contract/reply.hpp"
#include "contract/tables.hpp"
#include "contract/validator.hpp"

namespace hearth::api {

struct Call;
struct Services;

// The server serves the API's own; unit tests serve the fixture contract with handlers of theirs. Never
// changes while a pipeline serves it. Thread: any.
struct ServedApi {
  const contract::OperationTables& operations;
  const contract::Validator& validator;  // of its schemas
  std::string_view openapi;              // served at /openapi.json
  // Runs the handler of `call.operation`, which is an implemented one. What it calls outlives the call.
  std::function<Task<contract::Reply>(Services& services, Call& call)> handle;
};

// The contract in contract/ with the handlers of this folder.
const ServedApi& own_api();

}  // namespace hearth::api
