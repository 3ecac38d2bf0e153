#include "engine/llama/backend.hpp"

#include <mutex>
#include <utility>

#include "base/id.hpp"
#include "contract/fields.hpp"
#include "engine/llama/chat.hpp"
#include "engine/llama/client.hpp"
#include "engine/llama/completion.hpp"
#include "engine/llama/echo.hpp"
#include "engine/llama/embedding.hpp"
#include "engine/llama/streams.hpp"

namespace hearth::engine {
namespace {

namespace field = contract::field;
using namespace llama;

class RandomCallIds final : public CallIds {
 public:
  std::string next() override { return ids_.make("call_"); }

 private:
  Clock clock_;
  IdSource ids_{clock_};
};

Task<void> answer_chat(const ChatJob& job, std::size_t choice, Delta& out, Usage& usage) {
  if (co_await decide(job, choice) != Decision::call) {
    const json::object reply = co_await job.client.post(
        wire::chat_path, render_chat_call(job.plan, choice, Delivery::whole), job.call, Asked::chat);
    usage = read_usage(reply);
    out = read_chat_choice(job.plan, reply, choice, job.ids);
    co_return;
  }
  const std::string name = co_await choose_name(job, choice);
  const json::object reply = co_await job.client.post(
      wire::completion_path, render_arguments_call(job.plan, name, choice, Delivery::whole), job.call,
      Asked::chat);
  usage = read_usage(reply);
  out = read_forced_choice(job.plan, name, reply, choice, job.ids);
}

Task<void> answer_completion(const CompletionJob& job, std::size_t call, Generated& out, Usage& usage) {
  const std::size_t prompt = call / job.plan.best_of;
  if (!job.plan.generates()) {
    out = echo_only(job.plan, job.echoes[prompt]);
    usage.prompt = job.prompt_tokens[prompt];
    co_return;
  }
  const Asked asked = job.plan.suffix ? Asked::infill : Asked::completion;
  const json::object reply = co_await job.client.post(
      completion_path(job.plan), render_completion_call(job.plan, call, Delivery::whole), job.call, asked);
  usage = read_usage(reply);
  out = read_generated(job.plan, reply, job.echoes[prompt]);
}

std::unique_ptr<DeltaStream> make_reply(std::vector<Delta> choices, const std::vector<Usage>& usages,
                                        std::size_t calls_per_prompt) {
  Usage total;
  for (std::size_t i = 0; i < usages.size(); ++i) {
    total.completion += usages[i].completion;
    if (i % calls_per_prompt != 0) continue;  // the prompt is shared
    total.prompt += usages[i].prompt;
    total.cached += usages[i].cached;
  }
  return std::make_unique<ReadyDeltas>(std::move(choices), to_token_usage(total));
}

Task<std::unique_ptr<DeltaStream>> complete_whole(const CompletionJob& job, std::size_t slots) {
  const CompletionPlan& plan = job.plan;
  std::vector<Generated> generated(plan.calls());
  std::vector<Usage> usages(plan.calls());
  co_await run_side_by_side(plan.calls(), slots, [&](std::size_t number) {
    return answer_completion(job, number, generated[number], usages[number]);
  });
  std::vector<Delta> choices;
  for (std::size_t prompt = 0; prompt < plan.prompts.size(); ++prompt) {
    const auto first = generated.begin() + static_cast<std::ptrdiff_t>(prompt * plan.best_of);
    std::vector<Generated> own(std::make_move_iterator(first),
                               std::make_move_iterator(first + static_cast<std::ptrdiff_t>(plan.best_of)));
    add_choices(plan, prompt, std::move(own), choices);
  }
  co_return make_reply(std::move(choices), usages, plan.best_of);
}

void note_ignored(CallContext& call, const ChatPlan& plan) {
  for (const std::string& path : plan.ignored)
    call.ignore(path);
}

class LlamaBackend final : public Backend,
                           public ChatEngine,
                           public CompletionEngine,
                           public EmbeddingEngine {
 public:
  LlamaBackend(net::Origin origin, std::string model, std::set<Capability> capabilities)
      : client_(std::move(origin)), model_(std::move(model)), capabilities_(std::move(capabilities)) {}

  // The server refuses what its model was not loaded for.
  ChatEngine* chat() override { return this; }
  CompletionEngine* completion() override { return this; }
  EmbeddingEngine* embedding() override { return this; }

  Task<std::unique_ptr<DeltaStream>> chat(const json::object& request, Delivery delivery,
                                          CallContext& call) override {
    const auto traits = co_await learn_traits(call);
    // Shared by the choices of a stream, which outlive this call.
    auto job = std::make_shared<ChatJob>(client_, ids_, call, plan_chat(request, *traits));
    note_ignored(call, job->plan);
    co_await prepare(*job);
    const std::size_t choices = job->plan.choices;
    if (delivery == Delivery::whole) {
      std::vector<Delta> answers(choices);
      std::vector<Usage> usages(choices);
      co_await run_side_by_side(choices, traits->slots, [&](std::size_t choice) {
        return answer_chat(*job, choice, answers[choice], usages[choice]);
      });
      co_return make_reply(std::move(answers), usages, choices);
    }
    auto stream = std::make_unique<MergedStream>(
        choices, choices, traits->slots, [job](std::size_t choice) { return make_chat_choice(job, choice); });
    co_await stream->begin();
    co_return stream;
  }

  Task<std::unique_ptr<DeltaStream>> complete(const json::object& request, Delivery delivery,
                                              CallContext& call) override {
    const auto traits = co_await learn_traits(call);
    auto job = std::make_shared<CompletionJob>(client_, call, plan_completion(request, *traits));
    co_await prepare(*job);
    if (delivery == Delivery::whole) co_return co_await complete_whole(*job, traits->slots);
    const std::size_t n = job->plan.n;
    auto stream = std::make_unique<MergedStream>(
        job->plan.prompts.size() * n, n, traits->slots,
        [job](std::size_t choice) { return make_completion_choice(job, choice); });
    co_await stream->begin();
    co_return stream;
  }

  Task<json::object> embed(const json::object& request, CallContext& call) override {
    const json::object reply =
        co_await client_.post(wire::embeddings_path, render_embedding_call(request), call, Asked::embedding);
    co_return render_embedding_reply(request, reply);
  }

  Task<void> probe(CallContext& call) override {
    const bool generates =
        capabilities_.contains(Capability::chat) || capabilities_.contains(Capability::completion);
    json::object body;
    if (generates) {
      body[field::prompt] = "Hello";
      body[wire::n_predict] = 1;
      co_await client_.post(wire::completion_path, body, call, Asked::internal);
    } else {
      body[field::input] = "Hello";
      co_await client_.post(wire::embeddings_path, body, call, Asked::internal);
    }
    co_await learn_traits(call);
  }

 private:
  // Asked once; two first calls at the same time may both ask.
  Task<std::shared_ptr<const Traits>> learn_traits(const CallContext& call) {
    if (auto known = known_traits()) co_return known;
    const json::object props = co_await client_.get(wire::props_path, call);
    const json::object models = co_await client_.get(wire::models_path, call);
    auto learned = std::make_shared<const Traits>(read_traits(model_, props, models));
    std::lock_guard lock(mutex_);
    traits_ = learned;
    co_return learned;
  }

  std::shared_ptr<const Traits> known_traits() const {
    std::lock_guard lock(mutex_);
    return traits_;
  }

  Client client_;
  std::string model_;
  std::set<Capability> capabilities_;
  RandomCallIds ids_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Traits> traits_;  // shared: calls on other threads read it while it is set
};

}  // namespace

std::unique_ptr<Backend> make_llama_backend(net::Origin origin, std::string model,
                                            std::set<Capability> capabilities) {
  return std::make_unique<LlamaBackend>(std::move(origin), std::move(model), std::move(capabilities));
}

}  // namespace hearth::engine
