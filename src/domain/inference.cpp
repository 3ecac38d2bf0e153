#include "domain/inference.hpp"

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "contract/fields.hpp"
#include "domain/chat_rules.hpp"
#include "domain/generation/gathered.hpp"
#include "domain/generation/rendering.hpp"

namespace hearth::domain {
namespace {

namespace field = contract::field;
using engine::Capability;
using engine::Delivery;

std::string_view task_name(Capability capability) {
  switch (capability) {
    case Capability::chat:
      return "chat completions";
    case Capability::completion:
      return "text completions";
    case Capability::embedding:
      return "embeddings";
    case Capability::vision:
      return "images";
    case Capability::tools:
      return "tools";
    case Capability::infill:
      return "a suffix";
    case Capability::transcription:
      return "transcription";
    case Capability::speech:
      return "speech";
    case Capability::image:
      return "the making of images";
    case Capability::classification:
      return "classification";
  }
  return "this operation";
}

GenerationStream::Usage wanted_usage(const json::object& request) {
  const json::object* options = json::find_object(request, field::stream_options);
  const bool included = options && json::find_bool(*options, field::include_usage).value_or(false);
  return included ? GenerationStream::Usage::included : GenerationStream::Usage::withheld;
}

Task<Gathered> gather(engine::DeltaStream& deltas) {
  Gathered gathered;
  while (const engine::Delta* delta = co_await deltas.next())
    gathered.add(*delta);
  co_return gathered;
}

void require(const Target& target, Capability needed) {
  if (target.model->capabilities.contains(needed)) return;
  throw ApiError::unsupported_value(
      fmt::format("The model '{}' does not support {}.", target.name, task_name(needed)),
      std::string(field::model));
}

}  // namespace

ReplyStamp Inference::stamp(std::string_view prefix, const Target& target,
                            const json::object& request) const {
  const bool names_tier = !json::is_absent_or_null(request, field::service_tier);
  return {.id = ids_.make(prefix),
          .created = clock_.unix_now(),
          .model = target.name,
          .tier = names_tier ? ReplyStamp::Tier::told : ReplyStamp::Tier::untold};
}

Task<std::unique_ptr<engine::Lease>> Inference::acquire(MeteredCall& call) {
  auto lease = co_await engines_.acquire(*call.target().model, call.context());
  call.reached_engine();
  co_return lease;
}

Task<std::unique_ptr<GenerationStream>> Inference::begin_stream(std::unique_ptr<engine::Lease> lease,
                                                                std::unique_ptr<engine::DeltaStream> deltas,
                                                                GenerationStream::Settings settings,
                                                                MeteredCall& call) {
  auto stream = std::make_unique<GenerationStream>(std::move(lease), std::move(deltas), std::move(settings),
                                                   call.context().used());
  co_await stream->begin();
  co_return stream;
}

Task<json::object> Inference::chat(const json::object& request, MeteredCall& call) {
  const Target& target = call.target();
  require(target, Capability::chat);
  check_chat_request(request, *target.model);
  auto lease = co_await acquire(call);
  const ReplyStamp made = stamp("chatcmpl-", target, request);
  const auto deltas = co_await lease->backend().chat()->chat(request, Delivery::whole, call.context());
  const Gathered gathered = co_await gather(*deltas);
  count_usage(call.context().used(), deltas->usage());
  co_return render_chat(made, deltas->fingerprint(), gathered, deltas->usage());
}

Task<std::unique_ptr<GenerationStream>> Inference::stream_chat(const json::object& request, MeteredCall& call,
                                                               GenerationStream::Keep keep) {
  const Target& target = call.target();
  require(target, Capability::chat);
  check_chat_request(request, *target.model);
  auto lease = co_await acquire(call);
  auto deltas = co_await lease->backend().chat()->chat(request, Delivery::streamed, call.context());
  GenerationStream::Settings settings{.kind = ReplyKind::chat,
                                      .stamp = stamp("chatcmpl-", target, request),
                                      .usage = wanted_usage(request),
                                      .keep = keep};
  co_return co_await begin_stream(std::move(lease), std::move(deltas), std::move(settings), call);
}

Task<json::object> Inference::complete(const json::object& request, MeteredCall& call) {
  const Target& target = call.target();
  require(target, Capability::completion);
  check_completion_request(request, *target.model);
  auto lease = co_await acquire(call);
  const ReplyStamp made = stamp("cmpl-", target, request);
  const auto deltas =
      co_await lease->backend().completion()->complete(request, Delivery::whole, call.context());
  const Gathered gathered = co_await gather(*deltas);
  count_usage(call.context().used(), deltas->usage());
  co_return render_completion(made, deltas->fingerprint(), gathered, deltas->usage());
}

Task<std::unique_ptr<GenerationStream>> Inference::stream_complete(const json::object& request,
                                                                   MeteredCall& call) {
  const Target& target = call.target();
  require(target, Capability::completion);
  check_completion_request(request, *target.model);
  auto lease = co_await acquire(call);
  auto deltas = co_await lease->backend().completion()->complete(request, Delivery::streamed, call.context());
  GenerationStream::Settings settings{.kind = ReplyKind::completion,
                                      .stamp = stamp("cmpl-", target, request),
                                      .usage = wanted_usage(request)};
  co_return co_await begin_stream(std::move(lease), std::move(deltas), std::move(settings), call);
}

Task<json::object> Inference::embed(const json::object& request, MeteredCall& call) {
  const Target& target = call.target();
  require(target, Capability::embedding);
  auto lease = co_await acquire(call);
  json::object reply = co_await lease->backend().embedding()->embed(request, call.context());
  if (const json::object* usage = json::find_object(reply, field::usage)) {
    const auto prompt = json::find_integer(*usage, field::prompt_tokens).value_or(0);
    count_usage(call.context().used(), {.prompt = prompt});
  }
  reply[field::model] = target.name;
  co_return reply;
}

}  // namespace hearth::domain
