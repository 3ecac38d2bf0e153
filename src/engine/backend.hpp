// One abstraction over everything that computes: a local engine process or a remote upstream.
//
// What an engine does stands in the interfaces of task/. A request that comes from the API's edge is
// API-shaped JSON, validated there and passed by reference; what comes back is what the interface promises,
// whatever the engine said (adapters make that good). Ids, times and names of replies, and usage, are
// domain/'s.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "async/task.hpp"
#include "base/clock.hpp"
#include "contract/used.hpp"
#include "engine/capability.hpp"
#include "engine/task/classification.hpp"
#include "engine/task/embedding.hpp"
#include "engine/task/generation.hpp"
#include "engine/task/image.hpp"
#include "engine/task/speech.hpp"
#include "engine/task/transcription.hpp"

namespace hearth::engine {

// One piece of work that an engine is asked for, and what it tells of it. Whoever asks owns it and keeps it
// until the reply or the stream has ended: adapters hold references to it. Thread: one executor, that of the
// call.
class CallContext {
 public:
  CallContext(std::string request_id, SteadyTime deadline)
      : request_id_(std::move(request_id)), deadline_(deadline) {}
  CallContext(const CallContext&) = delete;
  CallContext& operator=(const CallContext&) = delete;

  const std::string& request_id() const { return request_id_; }  // sent along to upstreams, named in logs
  SteadyTime deadline() const { return deadline_; }              // nothing waits longer

  // For adapters: `path` names a parameter that this model takes without effect. Said before the reply or the
  // first chunk; the client finds it in the header x-hearth-ignored.
  void ignore(std::string path) { ignored_.push_back(std::move(path)); }
  const std::vector<std::string>& ignored() const { return ignored_; }

  // What was used for it so far. Filled in by domain/, not by adapters.
  contract::Used& used() { return used_; }
  const contract::Used& used() const { return used_; }

 private:
  const std::string request_id_;
  const SteadyTime deadline_;
  std::vector<std::string> ignored_;
  contract::Used used_;
};

// Thread: any executor of the runtime; a call stays on its caller's. Cancelling a call stops the engine's
// work. Every call throws ApiError: 400 with `param` for what this model cannot honour,
// context_length_exceeded, 503 engine_unavailable, 504.
class Backend {
 public:
  virtual ~Backend() = default;

  // The tasks that it has, as part of it; null for the others. A model with the capability of a task has an
  // engine with the task: Engines sees to that.
  virtual ChatEngine* chat() { return nullptr; }
  virtual CompletionEngine* completion() { return nullptr; }
  virtual EmbeddingEngine* embedding() { return nullptr; }
  virtual TranscriptionEngine* transcription() { return nullptr; }
  virtual SpeechEngine* speech() { return nullptr; }
  virtual ImageEngine* image() { return nullptr; }
  virtual ClassificationEngine* classification() { return nullptr; }

  // Ends when something real was computed (a token, a vector); throws otherwise. Readiness.
  virtual Task<void> probe(CallContext& call) = 0;
};

// The first of `capabilities` that names a task which the backend lacks.
std::optional<Capability> find_missing_task(Backend& backend, const std::set<Capability>& capabilities);

}  // namespace hearth::engine
