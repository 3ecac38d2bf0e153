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

// Adds what the engine says at the end; what was guessed of a stream before is replaced.
void count(contract::Used& used, const json::object& usage) {
  const auto read = [](const json::object* from, std::string_view name) {
    return from ? json::find_integer(*from, name).value_or(0) : 0;
  };
  const json::object* of_input = json::find_object(usage, field::prompt_tokens_details);
  const json::object* of_output = json::find_object(usage, field::completion_tokens_details);
  used.input_tokens = read(&usage, field::prompt_tokens);
  used.output_tokens = read(&usage, field::completion_tokens);
  used.cached_tokens = read(of_input, field::cached_tokens);
  used.input_audio_tokens = read(of_input, field::audio_tokens);
  used.output_audio_tokens = read(of_output, field::audio_tokens);
}

void count_reply(contract::Used& used, const json::object& reply) {
  if (const json::object* usage = json::find_object(reply, field::usage)) count(used, *usage);
}

// A chunk that carries a piece of an answer.
bool holds_a_piece(const json::object& chunk) {
  const json::array* choices = json::find_array(chunk, field::choices);
  if (!choices || choices->empty()) return false;
  const json::object* choice = (*choices)[0].if_object();
  if (!choice) return false;
  if (const auto text = json::find_string(*choice, field::text)) return !text->empty();
  const json::object* delta = json::find_object(*choice, field::delta);
  return delta && (!json::is_absent_or_null(*delta, field::content) || delta->contains(field::tool_calls)) &&
         json::find_string(*delta, field::content) != "";
}

void require(const Target& target, Capability needed) {
  if (target.model->capabilities.contains(needed)) return;
  throw ApiError::unsupported_value(
      fmt::format("The model '{}' does not support {}.", target.name, task_name(needed)),
      std::string(field::model));
}

}  // namespace

GenerationStream::GenerationStream(std::unique_ptr<engine::Lease> lease,
                                   std::unique_ptr<engine::ChunkStream> chunks, Stamp stamp, Usage usage,
                                   contract::Used& used)
    : lease_(std::move(lease)),
      chunks_(std::move(chunks)),
      stamp_(std::move(stamp)),
      usage_(usage),
      used_(used) {}

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
    if (counted_.is_null() && holds_a_piece(*chunk)) ++used_.output_tokens;
    const json::value* usage = json::find(*chunk, field::usage);
    if (usage && usage->is_object()) {
      counted_ = *usage;
      count(used_, usage->get_object());
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

GenerationStream::Stamp Inference::stamp(std::string_view prefix, std::string_view object,
                                         const Target& target, const json::object& request) const {
  return {ids_.make(prefix), object, clock_.unix_now(), target.name,
          !json::is_absent_or_null(request, field::service_tier)};
}

Task<std::unique_ptr<engine::Lease>> Inference::acquire(MeteredCall& call) {
  auto lease = co_await engines_.acquire(*call.target().model, call.context());
  call.reached_engine();
  co_return lease;
}

Task<std::unique_ptr<GenerationStream>> Inference::begun(std::unique_ptr<GenerationStream> stream) {
  co_await stream->begin();
  co_return stream;
}

Task<json::object> Inference::chat(const json::object& request, MeteredCall& call) {
  const Target& target = call.target();
  require(target, Capability::chat);
  check_chat_request(request, *target.model);
  auto lease = co_await acquire(call);
  auto made = stamp("chatcmpl-", "chat.completion", target, request);
  json::object reply = co_await lease->backend().chat()->chat(request, call.context());
  count_reply(call.context().used(), reply);
  co_return stamped(std::move(reply), made);
}

Task<std::unique_ptr<GenerationStream>> Inference::stream_chat(const json::object& request,
                                                               MeteredCall& call) {
  const Target& target = call.target();
  require(target, Capability::chat);
  check_chat_request(request, *target.model);
  auto lease = co_await acquire(call);
  auto chunks = co_await lease->backend().chat()->stream_chat(request, call.context());
  co_return co_await begun(std::make_unique<GenerationStream>(
      std::move(lease), std::move(chunks), stamp("chatcmpl-", "chat.completion.chunk", target, request),
      wanted_usage(request), call.context().used()));
}

Task<json::object> Inference::complete(const json::object& request, MeteredCall& call) {
  const Target& target = call.target();
  require(target, Capability::completion);
  check_completion_request(request, *target.model);
  auto lease = co_await acquire(call);
  auto made = stamp("cmpl-", "text_completion", target, request);
  json::object reply = co_await lease->backend().completion()->complete(request, call.context());
  count_reply(call.context().used(), reply);
  co_return stamped(std::move(reply), made);
}

Task<std::unique_ptr<GenerationStream>> Inference::stream_complete(const json::object& request,
                                                                   MeteredCall& call) {
  const Target& target = call.target();
  require(target, Capability::completion);
  check_completion_request(request, *target.model);
  auto lease = co_await acquire(call);
  auto chunks = co_await lease->backend().completion()->stream_complete(request, call.context());
  co_return co_await begun(std::make_unique<GenerationStream>(
      std::move(lease), std::move(chunks), stamp("cmpl-", "text_completion", target, request),
      wanted_usage(request), call.context().used()));
}

Task<json::object> Inference::embed(const json::object& request, MeteredCall& call) {
  const Target& target = call.target();
  require(target, Capability::embedding);
  auto lease = co_await acquire(call);
  json::object reply = co_await lease->backend().embedding()->embed(request, call.context());
  count_reply(call.context().used(), reply);
  reply[field::model] = target.name;
  co_return reply;
}

}  // namespace hearth::domain
