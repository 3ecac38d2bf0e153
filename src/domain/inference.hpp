// Asking a model: capability → engine → a reply that carries our id, time and model name.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "domain/generation/generation_stream.hpp"
#include "domain/metered_call.hpp"
#include "engine/engines.hpp"
#include "json/json.hpp"

namespace hearth::domain {

// Asks the model that a metered call is about, and counts for it. The call outlives its reply or stream.
// Thread: any. Every call throws ApiError: 400 when the model lacks the capability, and what engines throw.
class Inference {
 public:
  Inference(engine::Engines& engines, const Clock& clock, IdSource& ids)
      : engines_(engines), clock_(clock), ids_(ids) {}

  Task<json::object> chat(const json::object& request, MeteredCall& call);
  Task<std::unique_ptr<GenerationStream>> stream_chat(const json::object& request, MeteredCall& call,
                                                      GenerationStream::Keep keep);
  Task<json::object> complete(const json::object& request, MeteredCall& call);
  Task<std::unique_ptr<GenerationStream>> stream_complete(const json::object& request, MeteredCall& call);
  Task<json::object> embed(const json::object& request, MeteredCall& call);

 private:
  Task<std::unique_ptr<GenerationStream>> begin_stream(std::unique_ptr<engine::Lease> lease,
                                                       std::unique_ptr<engine::DeltaStream> deltas,
                                                       GenerationStream::Settings settings,
                                                       MeteredCall& call);
  ReplyStamp stamp(std::string_view prefix, const Target& target, const json::object& request) const;
  // An engine of the call's model, which then has reached it.
  Task<std::unique_ptr<engine::Lease>> acquire(MeteredCall& call);

  engine::Engines& engines_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::domain
