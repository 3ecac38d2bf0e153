#include "domain/inference.hpp"

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "contract/fields.hpp"
#include "domain/chat_rules.hpp"

namespace hearth::domain {
namespace {

namespace field = contract::field;
using engine::Capability;

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
  }
  return "this operation";
}

GenerationStream::Usage wanted_usage(const json::object& request) {
  const json::object* options = json::find_object(request, field::stream_options);
  const bool included = options && json::find_bool(*options, field::include_usage).value_or(false);
  return included ? GenerationStream::Usage::included : GenerationStream::Usage::withheld;
}

// The stamp comes first in the document, as clients and people expect it.
json::object stamped(json::object reply, const GenerationStream::Stamp& stamp) {
  json::object out(reply.storage());
  out.reserve(reply.size() + 4);
  out[field::id] = stamp.id;
  out[field::object] = stamp.object;
  out[field::created] = stamp.created;
  out[field::model] = stamp.model;
  if (stamp.tier && !reply.contains(field::service_tier)) out[field::service_tier] = "default";
  for (auto& member : reply) {
    if (!out.contains(member.key())) out.emplace(member.key(), std::move(member.value()));
  }
  return out;
}

}  // namespace

TokenUsage read_usage(const json::object& reply) {
  const json::object* usage = json::find_object(reply, field::usage);
  if (!usage) return {};
  return {json::find_integer(*usage, field::prompt_tokens).value_or(0),
          json::find_integer(*usage, field::completion_tokens).value_or(0)};
}

GenerationStream::GenerationStream(std::unique_ptr<engine::Lease> lease,
                                   std::unique_ptr<engine::ChunkStream> chunks, Stamp stamp, Usage usage,
                                   UsageListener& listener)
    : lease_(std::move(lease)),
      chunks_(std::move(chunks)),
      stamp_(std::move(stamp)),
      usage_(usage),
      listener_(listener) {}

Task<void> GenerationStream::begin() {
  auto chunk = co_await next();
  if (chunk) first_.emplace(std::move(*chunk));
}

Task<std::optional<json::object>> GenerationStream::next() {
  if (first_) {
    std::optional<json::object> first(std::move(*first_));
    first_.reset();
    co_return first;
  }
  while (true) {
    auto chunk = co_await chunks_->next();
    if (!chunk) co_return std::nullopt;
    const json::value* usage = json::find(*chunk, field::usage);
    if (usage && usage->is_object()) {
      counted_ = *usage;
      listener_.used(stamp_.model, read_usage(*chunk));
      const json::array* choices = json::find_array(*chunk, field::choices);
      if (usage_ == Usage::withheld) {
        if (!choices || choices->empty()) continue;
        chunk->erase(field::usage);
      }
    } else if (usage_ == Usage::included) {
      (*chunk)[field::usage] = nullptr;
    } else {
      chunk->erase(field::usage);
    }
    co_return stamped(std::move(*chunk), stamp_);
  }
}

Task<Target> Inference::resolve(const json::object& request, const ProjectId& project, Capability needed) {
  Target target;
  target.name = *json::find_string(request, field::model);
  target.snapshot = co_await directory_.current();
  target.model = target.snapshot->find(target.name, project);
  if (!target.model) throw ApiError::model_not_found(target.name);
  if (!target.model->capabilities.contains(needed)) {
    throw ApiError::unsupported_value(
        fmt::format("The model '{}' does not support {}.", target.name, task_name(needed)),
        std::string(field::model));
  }
  co_return target;
}

GenerationStream::Stamp Inference::stamp(std::string_view prefix, std::string_view object,
                                         const Target& target, const json::object& request) const {
  return {ids_.make(prefix), object, clock_.unix_now(), target.name,
          !json::is_absent_or_null(request, field::service_tier)};
}

json::object Inference::finish(json::object reply, const GenerationStream::Stamp& stamp) {
  listener_.used(stamp.model, read_usage(reply));
  return stamped(std::move(reply), stamp);
}

Task<std::unique_ptr<GenerationStream>> Inference::begun(std::unique_ptr<GenerationStream> stream) {
  co_await stream->begin();
  co_return stream;
}

Task<json::object> Inference::chat(const json::object& request, const ProjectId& project,
                                   const engine::CallContext& call) {
  const Target target = co_await resolve(request, project, Capability::chat);
  check_chat_request(request, *target.model);
  auto lease = co_await engines_.acquire(*target.model, call);
  auto made = stamp("chatcmpl-", "chat.completion", target, request);
  co_return finish(co_await lease->backend().chat(request, call), made);
}

Task<std::unique_ptr<GenerationStream>> Inference::stream_chat(const json::object& request,
                                                               const ProjectId& project,
                                                               const engine::CallContext& call) {
  const Target target = co_await resolve(request, project, Capability::chat);
  check_chat_request(request, *target.model);
  auto lease = co_await engines_.acquire(*target.model, call);
  auto chunks = co_await lease->backend().stream_chat(request, call);
  co_return co_await begun(std::make_unique<GenerationStream>(
      std::move(lease), std::move(chunks), stamp("chatcmpl-", "chat.completion.chunk", target, request),
      wanted_usage(request), listener_));
}

Task<json::object> Inference::complete(const json::object& request, const ProjectId& project,
                                       const engine::CallContext& call) {
  const Target target = co_await resolve(request, project, Capability::completion);
  check_completion_request(request, *target.model);
  auto lease = co_await engines_.acquire(*target.model, call);
  auto made = stamp("cmpl-", "text_completion", target, request);
  co_return finish(co_await lease->backend().complete(request, call), made);
}

Task<std::unique_ptr<GenerationStream>> Inference::stream_complete(const json::object& request,
                                                                   const ProjectId& project,
                                                                   const engine::CallContext& call) {
  const Target target = co_await resolve(request, project, Capability::completion);
  check_completion_request(request, *target.model);
  auto lease = co_await engines_.acquire(*target.model, call);
  auto chunks = co_await lease->backend().stream_complete(request, call);
  co_return co_await begun(std::make_unique<GenerationStream>(
      std::move(lease), std::move(chunks), stamp("cmpl-", "text_completion", target, request),
      wanted_usage(request), listener_));
}

Task<json::object> Inference::embed(const json::object& request, const ProjectId& project,
                                    const engine::CallContext& call) {
  const Target target = co_await resolve(request, project, Capability::embedding);
  auto lease = co_await engines_.acquire(*target.model, call);
  json::object reply = co_await lease->backend().embed(request, call);
  listener_.used(target.name, read_usage(reply));
  reply[field::model] = target.name;
  co_return reply;
}

}  // namespace hearth::domain
