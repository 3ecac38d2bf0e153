// Conversations and texts that a model goes on with.
#pragma once

#include <memory>
#include <optional>

#include "async/task.hpp"
#include "json/json.hpp"

namespace hearth::engine {

class CallContext;

// The chunks of a streamed reply, API-shaped (chat.completion.chunk, or the completion object). The last
// chunks carry the finish reasons; one with empty `choices` and `usage` always ends the stream (the caller
// forwards it only when the client asked for it). Destroying the stream early stops the engine's work.
class ChunkStream {
 public:
  virtual ~ChunkStream() = default;
  // nullopt at the regular end. Throws ApiError when the engine fails: never a clean end after a truncated
  // reply.
  virtual Task<std::optional<json::object>> next() = 0;
};

class ChatEngine {
 public:
  virtual ~ChatEngine() = default;
  virtual Task<json::object> chat(const json::object& request, CallContext& call) = 0;
  virtual Task<std::unique_ptr<ChunkStream>> stream_chat(const json::object& request, CallContext& call) = 0;
};

class CompletionEngine {
 public:
  virtual ~CompletionEngine() = default;
  virtual Task<json::object> complete(const json::object& request, CallContext& call) = 0;
  virtual Task<std::unique_ptr<ChunkStream>> stream_complete(const json::object& request,
                                                             CallContext& call) = 0;
};

}  // namespace hearth::engine
