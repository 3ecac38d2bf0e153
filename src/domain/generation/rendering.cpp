#include "domain/generation/rendering.hpp"

#include "contract/fields.hpp"
#include "domain/generation/rendering_parts.hpp"

namespace hearth::domain {
namespace {

namespace field = contract::field;

struct Detail {
  std::string_view name;
  const std::optional<std::int64_t>& count;
};

void add_details(json::object& usage, std::string_view name, std::initializer_list<Detail> details) {
  json::object* out = nullptr;
  for (const Detail& detail : details) {
    if (!detail.count) continue;
    if (!out) out = &add_object(usage, name);
    (*out)[detail.name] = *detail.count;
  }
}

}  // namespace

json::object& begin_document(json::value& out, const ReplyStamp& stamp, std::string_view object_name) {
  json::object& document = out.emplace_object();
  document.reserve(8);
  document.emplace(field::id, stamp.id);
  document.emplace(field::object, object_name);
  document.emplace(field::created, stamp.created);
  document.emplace(field::model, stamp.model);
  if (stamp.tier == ReplyStamp::Tier::told) document.emplace(field::service_tier, "default");
  return document;
}

void add_fingerprint(json::object& document, std::string_view fingerprint) {
  if (!fingerprint.empty()) document.emplace(field::system_fingerprint, fingerprint);
}

void add_finish_reason(json::object& choice, const std::optional<engine::FinishReason>& finish) {
  json::value& member = choice[field::finish_reason];
  if (finish) member = engine::finish_reason_name(*finish);
}

void render_usage(const engine::TokenUsage& usage, json::object& out) {
  out.emplace(field::prompt_tokens, usage.prompt);
  out.emplace(field::completion_tokens, usage.completion);
  out.emplace(field::total_tokens, usage.prompt + usage.completion);
  add_details(out, field::prompt_tokens_details,
              {{field::audio_tokens, usage.audio_prompt}, {field::cached_tokens, usage.cached_prompt}});
  add_details(out, field::completion_tokens_details,
              {{field::accepted_prediction_tokens, usage.accepted_prediction},
               {field::audio_tokens, usage.audio_completion},
               {field::reasoning_tokens, usage.reasoning},
               {field::rejected_prediction_tokens, usage.rejected_prediction}});
}

void render_usage_chunk(ReplyKind kind, const ChunkFrame& frame, const engine::TokenUsage& usage,
                        json::value& out) {
  const bool chat = kind == ReplyKind::chat;
  json::object& document =
      begin_document(out, frame.stamp, chat ? "chat.completion.chunk" : "text_completion");
  add_array(document, field::choices);
  render_usage(usage, add_object(document, field::usage));
  add_fingerprint(document, frame.fingerprint);
}

}  // namespace hearth::domain
