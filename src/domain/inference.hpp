// Asking a model: capability → engine → a reply that carries our id, time and model name.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "domain/metered_call.hpp"
#include "engine/engines.hpp"
#include "json/json.hpp"

namespace hearth::domain {

// A streamed reply on its way to the client: every chunk stamped, the usage chunk withheld unless asked for.
// Thread: the session's. Destroying it early stops the engine's work; the call outlives it. Until the engine
// tells what it counted, each chunk with a piece of an answer counts as one token: so what a client that left
// has used is not lost.
class GenerationStream {
 public:
  struct Stamp {
    std::string id;
    std::string_view object;
    UnixSeconds created;
    std::string model;
    bool tier = false;  // the request named a service tier: the reply tells which one it got
  };
  enum class Usage { withheld, included };

  GenerationStream(std::unique_ptr<engine::Lease> lease, std::unique_ptr<engine::ChunkStream> chunks,
                   Stamp stamp, Usage usage, contract::Used& used);

  // Fetches the first chunk: what fails until then can still be an ordinary error reply.
  Task<void> begin();
  // nullopt at the end. Throws ApiError when the engine fails. Take each chunk into a variable of its own:
  // one assigned over another is copied into the older one's memory, which grows until the stream ends.
  Task<std::optional<json::object>> next();
  // What the engine counted; null until the stream has told.
  const json::value& usage() const { return counted_; }

 private:
  std::unique_ptr<engine::Lease> lease_;  // outlives the chunks
  std::unique_ptr<engine::ChunkStream> chunks_;
  Stamp stamp_;
  Usage usage_;
  json::value counted_;
  std::optional<json::object> first_;
  contract::Used& used_;
};

// Asks the model that a metered call is about, and counts for it. The call outlives its reply or stream.
// Thread: any. Every call throws ApiError: 400 when the model lacks the capability, and what engines throw.
class Inference {
 public:
  Inference(engine::Engines& engines, const Clock& clock, IdSource& ids)
      : engines_(engines), clock_(clock), ids_(ids) {}

  Task<json::object> chat(const json::object& request, MeteredCall& call);
  Task<std::unique_ptr<GenerationStream>> stream_chat(const json::object& request, MeteredCall& call);
  Task<json::object> complete(const json::object& request, MeteredCall& call);
  Task<std::unique_ptr<GenerationStream>> stream_complete(const json::object& request, MeteredCall& call);
  Task<json::object> embed(const json::object& request, MeteredCall& call);

 private:
  Task<std::unique_ptr<GenerationStream>> begun(std::unique_ptr<GenerationStream> stream);
  GenerationStream::Stamp stamp(std::string_view prefix, std::string_view object, const Target& target,
                                const json::object& request) const;
  // An engine of the call's model, which then has reached it.
  Task<std::unique_ptr<engine::Lease>> acquire(MeteredCall& call);

  engine::Engines& engines_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::domain
