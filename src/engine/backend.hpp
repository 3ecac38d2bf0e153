// One abstraction over everything that computes: a local engine process or a remote upstream.
//
// Requests and replies are API-shaped JSON: the request was validated against the contract at the edge and is
// passed by reference; what comes back satisfies the contract's schema, whatever the engine said (adapters
// make that good). `id`, `created` and `model` of replies are set by domain/, which also counts usage;
// adapters leave them out.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/task.hpp"
#include "base/clock.hpp"
#include "contract/used.hpp"
#include "json/json.hpp"

namespace hearth::engine {

// What a call knows about the request it works for.
struct CallContext {
  std::string request_id;  // sent along to upstreams, named in logs
  SteadyTime deadline;     // nothing waits longer
  // Receives the paths of parameters that this model takes without effect, before the reply or the first
  // chunk; the client finds them in the header x-hearth-ignored. May be null.
  std::vector<std::string>* ignored = nullptr;
  // Receives what the engine counted; see there. May be null. Filled by domain/, not by adapters.
  contract::Used* used = nullptr;
};

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

// Thread: any executor of the runtime; a call stays on its caller's. Cancelling a call stops the engine's
// work. Every call throws ApiError: 400 with `param` for what this model cannot honour,
// context_length_exceeded, 503 engine_unavailable, 504.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual Task<json::object> chat(const json::object& request, const CallContext& call) = 0;
  virtual Task<std::unique_ptr<ChunkStream>> stream_chat(const json::object& request,
                                                         const CallContext& call) = 0;
  virtual Task<json::object> complete(const json::object& request, const CallContext& call) = 0;
  virtual Task<std::unique_ptr<ChunkStream>> stream_complete(const json::object& request,
                                                             const CallContext& call) = 0;
  virtual Task<json::object> embed(const json::object& request, const CallContext& call) = 0;

  // Ends when a real token was produced; throws otherwise. Readiness.
  virtual Task<void> probe(const CallContext& call) = 0;
};

}  // namespace hearth::engine
