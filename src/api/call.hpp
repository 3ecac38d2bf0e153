// A validated request as handlers of the API get it.
#pragma once

#include <utility>

#include "contract/call.hpp"
#include "engine/backend.hpp"

namespace hearth::api {

// Built by the pipeline, lives until the reply's last byte. Thread: the session's.
struct Call : contract::Call {
  explicit Call(contract::Call valid)
      : contract::Call(std::move(valid)), context(request_id.str(), deadline) {}

  // What engines are told of it, and tell.
  engine::CallContext context;
};

}  // namespace hearth::api
