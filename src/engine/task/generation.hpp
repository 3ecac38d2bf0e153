// Conversations and texts that a model goes on with: what engines say, piece by piece.
//
// Engines give deltas, whether a reply was asked for whole or as a stream; domain/generation gathers them and
// renders them in the API's shapes. A delta belongs to one choice. The deltas of a choice, put together, are
// its whole answer, so that a whole reply and a collected stream are equal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/task.hpp"
#include "json/json.hpp"

namespace hearth::engine {

class CallContext;

enum class Delivery { whole, streamed };

enum class FinishReason { stop, length, tool_calls, content_filter, function_call };
std::string_view finish_reason_name(FinishReason reason);

// What a reply cost, over all choices. Details are empty where the engine does not tell them apart.
struct TokenUsage {
  std::int64_t prompt = 0;
  std::int64_t completion = 0;
  std::optional<std::int64_t> cached_prompt;
  std::optional<std::int64_t> audio_prompt;
  std::optional<std::int64_t> audio_completion;
  std::optional<std::int64_t> reasoning;
  std::optional<std::int64_t> accepted_prediction;
  std::optional<std::int64_t> rejected_prediction;

  bool operator==(const TokenUsage&) const = default;
};

// A token of the answer with its probability. `token` is as the client is to read it: adapters spell what is
// no text.
struct TokenLogprob {
  struct Alternative {
    std::string token;
    double logprob = 0;
    std::optional<std::string> bytes;
    bool operator==(const Alternative&) const = default;
  };
  std::string token;
  std::optional<double> logprob;     // none: the first token of an echoed prompt
  std::optional<std::string> bytes;  // what it is; none: not told
  std::int64_t offset = 0;           // text completions: where in the choice's text, in characters
  // None: not told; empty: none were asked for.
  std::optional<std::vector<Alternative>> alternatives;
  bool operator==(const TokenLogprob&) const = default;
};

// The probabilities of a delta's tokens: of its text and of its refusal; none: there are none to tell.
struct Logprobs {
  std::optional<std::vector<TokenLogprob>> text;
  std::optional<std::vector<TokenLogprob>> refusal;
  bool operator==(const Logprobs&) const = default;
};

// How the client speaks of functions: `tools`, or the older single `function_call`.
enum class CallStyle { tools, functions };

// A piece of a call that the model makes. The first one of each call has its id (with tools) and its name,
// later ones add to the arguments.
struct CallPiece {
  std::size_t index = 0;  // of the choice's calls; 0 with functions
  CallStyle style = CallStyle::tools;
  std::string id;
  std::string name;
  std::string arguments;
  bool operator==(const CallPiece&) const = default;

  bool begins() const { return !id.empty() || !name.empty(); }
};

// What one choice says next. Everything is an addition to what came before; an empty delta only begins the
// choice.
struct Delta {
  std::size_t choice = 0;
  std::string text;
  std::string refusal;
  std::string reasoning;
  std::vector<CallPiece> calls;
  std::optional<Logprobs> logprobs;  // none: not asked for, or nothing to tell here
  std::optional<FinishReason> finish;
  // Further members of the message that the API knows and only some engines give (`audio`, `annotations`), in
  // the API's shape.
  json::object extras;

  // Empties it and keeps its memory: a stream uses one delta again and again.
  void clear();
  // Whether it has a piece of the answer.
  bool says_something() const { return !text.empty() || !refusal.empty() || !calls.empty(); }
};

// The deltas of one reply. Each choice begins, ends with its finish reason and says nothing more.
// Destroying the stream early stops the engine's work.
class DeltaStream {
 public:
  virtual ~DeltaStream() = default;
  // The next delta, valid until the next call; null at the regular end, when every choice has finished.
  // Throws ApiError when the engine fails: never a clean end after a truncated reply.
  virtual Task<const Delta*> next() = 0;
  // Valid after the regular end.
  virtual const TokenUsage& usage() const = 0;
  // The engine's name for its own set-up (`system_fingerprint`), as far as it is known; empty: it has none.
  virtual std::string_view fingerprint() const { return {}; }
};

// A reply that is there as a whole.
class ReadyDeltas final : public DeltaStream {
 public:
  ReadyDeltas(std::vector<Delta> deltas, TokenUsage usage, std::string fingerprint = {})
      : deltas_(std::move(deltas)), usage_(usage), fingerprint_(std::move(fingerprint)) {}
  Task<const Delta*> next() override;
  const TokenUsage& usage() const override { return usage_; }
  std::string_view fingerprint() const override { return fingerprint_; }

 private:
  std::vector<Delta> deltas_;
  TokenUsage usage_;
  std::string fingerprint_;
  std::size_t next_ = 0;
};

// The request was validated against the contract and is passed by reference; it must outlive the call, not
// the stream. With Delivery::whole the engine is asked for everything at once and each choice may come as one
// delta; with Delivery::streamed the call ends when the engine has begun to answer.
class ChatEngine {
 public:
  virtual ~ChatEngine() = default;
  virtual Task<std::unique_ptr<DeltaStream>> chat(const json::object& request, Delivery delivery,
                                                  CallContext& call) = 0;
};

class CompletionEngine {
 public:
  virtual ~CompletionEngine() = default;
  virtual Task<std::unique_ptr<DeltaStream>> complete(const json::object& request, Delivery delivery,
                                                      CallContext& call) = 0;
};

}  // namespace hearth::engine
