// Streamed replies of llama-server: one reader per choice, merged into one stream of deltas.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.hpp"
#include "engine/llama/chat.hpp"
#include "engine/llama/client.hpp"
#include "engine/llama/completion.hpp"
#include "engine/llama/delta_buffer.hpp"

namespace hearth::engine::llama {

// One choice of a streamed reply.
class ChoiceStream {
 public:
  virtual ~ChoiceStream() = default;
  // Until the server has begun to answer. Throws ApiError for what it refuses.
  virtual Task<void> open() = 0;
  // Adds the next deltas to `out`; none at the regular end. Throws ApiError when the answer breaks off.
  virtual Task<void> read(DeltaBuffer& out) = 0;
  // Valid after the end.
  virtual Usage usage() const = 0;
};

// Reads the choices in turn. At most `slots` are open at a time; the next begins when one ends.
class MergedStream final : public DeltaStream {
 public:
  using MakeChoice = std::function<std::unique_ptr<ChoiceStream>(std::size_t)>;

  // Choices that share a prompt: `choices_per_prompt` in a row; the prompt's tokens are counted once.
  MergedStream(std::size_t choices, std::size_t choices_per_prompt, std::size_t slots, MakeChoice make);
  // Opens the first ones side by side, so that a refusal comes before the first delta.
  Task<void> begin();
  Task<const Delta*> next() override;
  const TokenUsage& usage() const override { return total_; }

 private:
  struct Open {
    std::size_t number;
    std::unique_ptr<ChoiceStream> stream;
  };
  void count(const Open& ended);

  MakeChoice make_;  // owns what the choices refer to, so it dies after them
  std::size_t choices_;
  std::size_t choices_per_prompt_;
  std::size_t slots_;
  std::size_t begun_ = 0;
  std::vector<Open> open_;
  std::size_t turn_ = 0;
  DeltaBuffer ready_;
  std::size_t handed_out_ = 0;  // of ready_
  Usage usage_;
  TokenUsage total_;
};

// Runs work(0) … work(count - 1), at most `width` at a time. The first error ends it: what runs is finished,
// the rest is not begun.
Task<void> run_side_by_side(std::size_t count, std::size_t width,
                            std::function<Task<void>(std::size_t)> work);

// What the choices of one chat request share.
struct ChatJob {
  Client& client;
  CallIds& ids;
  const CallContext& call;
  ChatPlan plan;
};
// Fills in plan.forced_prompt where calls may be forced.
Task<void> prepare(ChatJob& job);
// Whether the model begins with a call, where that decides; forced calls are decided already.
Task<Decision> decide(const ChatJob& job, std::size_t choice);
// The name that the model chose among the allowed ones. It is written again in the call, and counted there.
Task<std::string> choose_name(const ChatJob& job, std::size_t choice);
std::unique_ptr<ChoiceStream> make_chat_choice(const std::shared_ptr<ChatJob>& job, std::size_t choice);

// What the choices of one text completion request share.
struct CompletionJob {
  Client& client;
  const CallContext& call;
  CompletionPlan plan;
  std::vector<PromptEcho> echoes;           // by prompt; empty texts without an echo
  std::vector<std::int64_t> prompt_tokens;  // by prompt; only where nothing is generated
};
std::unique_ptr<ChoiceStream> make_completion_choice(const std::shared_ptr<CompletionJob>& job,
                                                     std::size_t choice);

}  // namespace hearth::engine::llama
