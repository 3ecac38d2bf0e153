// Text into vectors.
#pragma once

#include "async/task.hpp"
#include "json/json.hpp"

namespace hearth::engine {

class CallContext;

// Requests and replies are API-shaped JSON (ADR 11): a vector passes as the engine wrote it, which no list of
// floats could promise.
class EmbeddingEngine {
 public:
  virtual ~EmbeddingEngine() = default;
  // The reply without `model`.
  virtual Task<json::object> embed(const json::object& request, CallContext& call) = 0;
};

}  // namespace hearth::engine
