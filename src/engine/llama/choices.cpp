// The readers of single choices: chat, forced calls, text.
#include <algorithm>

#include "base/log.hpp"
#include "contract/fields.hpp"
#include "engine/llama/streams.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;

class ChatChoice final : public ChoiceStream {
 public:
  ChatChoice(std::shared_ptr<ChatJob> job, std::size_t choice)
      : job_(std::move(job)), choice_(choice), reader_(job_->plan, choice, job_->ids) {}

  Task<void> open() override {
    events_ = co_await job_->client.open(
        wire::chat_path, render_chat_call(job_->plan, choice_, Delivery::streamed), job_->call, Asked::chat);
  }

  Task<void> read(DeltaBuffer& out) override {
    while (auto event = co_await events_->next()) {
      reader_.feed(*event, out);
      if (!out.empty()) co_return;
    }
    if (!reader_.finished()) throw engine_lost();
  }

  Usage usage() const override { return reader_.usage(); }

 private:
  std::shared_ptr<ChatJob> job_;
  std::size_t choice_;
  ChatReader reader_;
  std::unique_ptr<EventReader> events_;
};

// The server refuses log probabilities in a stream with tools: the whole answer is fetched, then sent as
// deltas.
class WholeChatChoice final : public ChoiceStream {
 public:
  WholeChatChoice(std::shared_ptr<ChatJob> job, std::size_t choice) : job_(std::move(job)), choice_(choice) {}

  Task<void> open() override {
    const json::object reply = co_await job_->client.post(
        wire::chat_path, render_chat_call(job_->plan, choice_, Delivery::whole), job_->call, Asked::chat);
    usage_ = read_usage(reply);
    deltas_ = split_choice(read_chat_choice(job_->plan, reply, choice_, job_->ids));
  }

  Task<void> read(DeltaBuffer& out) override {
    for (Delta& delta : std::exchange(deltas_, {}))
      out.add(choice_) = std::move(delta);
    co_return;
  }
  Usage usage() const override { return usage_; }

 private:
  std::shared_ptr<ChatJob> job_;
  std::size_t choice_;
  std::vector<Delta> deltas_;
  Usage usage_;
};

class ForcedChoice final : public ChoiceStream {
 public:
  ForcedChoice(std::shared_ptr<ChatJob> job, std::size_t choice) : job_(std::move(job)), choice_(choice) {}

  Task<void> open() override {
    name_ = co_await choose_name(*job_, choice_);
    events_ = co_await job_->client.open(
        wire::completion_path, render_arguments_call(job_->plan, name_, choice_, Delivery::streamed),
        job_->call, Asked::chat);
  }

  Task<void> read(DeltaBuffer& out) override {
    if (!begun_) {
      begun_ = true;
      begin_forced(job_->plan, name_, job_->ids, out.add(choice_));
      co_return;
    }
    while (auto event = co_await events_->next()) {
      std::string piece = arguments_.feed(json::find_string(*event, field::content).value_or(""));
      if (!piece.empty()) add_forced_piece(job_->plan, std::move(piece), out.add(choice_));
      if (event->contains(wire::stop_type)) {
        finished_ = true;
        usage_ = read_usage(*event);
        out.add(choice_).finish = forced_finish(job_->plan, *event);
      }
      if (!out.empty()) co_return;
    }
    if (!finished_) throw engine_lost();
  }

  Usage usage() const override { return usage_; }

 private:
  std::shared_ptr<ChatJob> job_;
  std::size_t choice_;
  std::string name_;
  ArgumentsReader arguments_;
  std::unique_ptr<EventReader> events_;
  Usage usage_;
  bool begun_ = false;
  bool finished_ = false;
};

// Whichever of the above it is to be.
class AnyChatChoice final : public ChoiceStream {
 public:
  AnyChatChoice(std::shared_ptr<ChatJob> job, std::size_t choice) : job_(std::move(job)), choice_(choice) {}

  Task<void> open() override {
    const Decision decision = co_await decide(*job_, choice_);
    if (decision == Decision::call) {
      inner_ = std::make_unique<ForcedChoice>(job_, choice_);
    } else if (job_->plan.logprobs && job_->plan.offers_tools) {
      inner_ = std::make_unique<WholeChatChoice>(job_, choice_);
    } else {
      inner_ = std::make_unique<ChatChoice>(job_, choice_);
    }
    co_await inner_->open();
  }

  Task<void> read(DeltaBuffer& out) override { return inner_->read(out); }
  Usage usage() const override { return inner_->usage(); }

 private:
  std::shared_ptr<ChatJob> job_;
  std::size_t choice_;
  std::unique_ptr<ChoiceStream> inner_;
};

class CompletionChoice final : public ChoiceStream {
 public:
  CompletionChoice(std::shared_ptr<CompletionJob> job, std::size_t choice)
      : job_(std::move(job)), choice_(choice), reader_(job_->plan, choice) {}

  Task<void> open() override {
    if (!job_->plan.generates()) co_return;
    const Asked asked = job_->plan.suffix ? Asked::infill : Asked::completion;
    events_ = co_await job_->client.open(completion_path(job_->plan),
                                         render_completion_call(job_->plan, choice_, Delivery::streamed),
                                         job_->call, asked);
  }

  Task<void> read(DeltaBuffer& out) override {
    if (!begun_) {
      begun_ = true;
      if (job_->plan.echo != Echo::without) {
        reader_.begin(job_->echoes[prompt()], out);
        co_return;
      }
    }
    if (!events_) {
      if (!reader_.finished()) reader_.end_without_text(out);
      co_return;
    }
    while (auto event = co_await events_->next()) {
      reader_.feed(*event, out);
      if (!out.empty()) co_return;
    }
    if (!reader_.finished()) throw engine_lost();
  }

  Usage usage() const override {
    if (job_->plan.generates()) return reader_.usage();
    return Usage{.prompt = job_->prompt_tokens[prompt()]};
  }

 private:
  std::size_t prompt() const { return choice_ / job_->plan.n; }

  std::shared_ptr<CompletionJob> job_;
  std::size_t choice_;
  CompletionReader reader_;
  std::unique_ptr<EventReader> events_;
  bool begun_ = false;
};

}  // namespace

Task<void> prepare(ChatJob& job) {
  if (job.plan.rule == CallRule::free) co_return;
  const json::object reply =
      co_await job.client.post(wire::template_path, render_template_call(job.plan), job.call, Asked::chat);
  job.plan.forced_prompt = json::find_string(reply, field::prompt).value_or("");
}

Task<std::string> choose_name(const ChatJob& job, std::size_t choice) {
  if (job.plan.callable.size() == 1) co_return job.plan.callable.front().name;
  const json::object reply = co_await job.client.post(
      wire::completion_path, render_name_call(job.plan, choice), job.call, Asked::chat);
  const std::string_view name = json::find_string(reply, field::content).value_or("");
  if (std::ranges::find(job.plan.callable, name, &AllowedFunction::name) == job.plan.callable.end()) {
    log::error("engine chose a function that does not exist", {{"request", job.call.request_id()}});
    throw ApiError::internal();
  }
  co_return std::string(name);
}

Task<Decision> decide(const ChatJob& job, std::size_t choice) {
  if (job.plan.rule == CallRule::free) co_return Decision::text;
  if (job.plan.rule == CallRule::forced) co_return Decision::call;
  const auto events = co_await job.client.open(wire::chat_path, render_decision_call(job.plan, choice),
                                               job.call, Asked::chat);
  while (auto event = co_await events->next()) {
    const Decision decision = read_decision(*event);
    if (decision != Decision::open) co_return decision;
  }
  throw engine_lost();
}

std::unique_ptr<ChoiceStream> make_chat_choice(const std::shared_ptr<ChatJob>& job, std::size_t choice) {
  return std::make_unique<AnyChatChoice>(job, choice);
}

std::unique_ptr<ChoiceStream> make_completion_choice(const std::shared_ptr<CompletionJob>& job,
                                                     std::size_t choice) {
  return std::make_unique<CompletionChoice>(job, choice);
}

}  // namespace hearth::engine::llama
