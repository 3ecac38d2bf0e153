// A streamed reply on its way to the client.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "contract/used.hpp"
#include "domain/generation/gathered.hpp"
#include "domain/generation/rendering.hpp"
#include "engine/engines.hpp"
#include "engine/task/generation.hpp"
#include "json/json.hpp"

namespace hearth::domain {

// Adds what the engine counted, in place of what was guessed of a stream before.
void count_usage(contract::Used& used, const engine::TokenUsage& usage);

// Every chunk stamped, the usage chunk withheld unless asked for. Thread: the session's. Destroying it early
// stops the engine's work; `used` outlives it. Until the engine tells what it counted, each delta with a
// piece of an answer counts as one token: so what a client that left has used is not lost.
class GenerationStream {
 public:
  enum class Usage { withheld, included };
  enum class Keep { nothing, whole };

  struct Settings {
    ReplyKind kind = ReplyKind::chat;
    ReplyStamp stamp;
    Usage usage = Usage::withheld;
    Keep keep = Keep::nothing;
  };

  GenerationStream(std::unique_ptr<engine::Lease> lease, std::unique_ptr<engine::DeltaStream> deltas,
                   Settings settings, contract::Used& used);

  // Fetches the first chunk: what fails until then can still be an ordinary error reply.
  Task<void> begin();
  // The next chunk, valid until the next call; null at the end. Throws ApiError when the engine fails.
  Task<const json::value*> next();
  // The whole reply that the chunks amount to: after the end, with Keep::whole.
  json::object whole() const;

 private:
  Task<bool> advance();
  bool render(const engine::Delta& delta);
  bool begins(std::size_t choice);

  std::unique_ptr<engine::Lease> lease_;  // outlives the deltas
  std::unique_ptr<engine::DeltaStream> deltas_;
  const Settings settings_;
  contract::Used& used_;
  std::vector<bool> begun_;  // by choice
  Gathered gathered_;
  bool ahead_ = false;  // chunk_ was not handed out yet
  bool ended_ = false;
  // A chunk lives here until the next one. Most fit into the buffer.
  unsigned char buffer_[2048];
  boost::json::monotonic_resource memory_{buffer_, sizeof buffer_};
  std::optional<json::value> chunk_;
};

}  // namespace hearth::domain
