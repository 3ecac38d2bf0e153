#include "api/usage_event.hpp"

#include <array>
#include <string_view>

namespace hearth::api {
namespace {

using store::UsageKind;

struct Counted {
  std::string_view operation;
  UsageKind kind;
  std::string_view source{};
};
constexpr std::array operations{
    Counted{"create_chat_completion", UsageKind::completions},
    Counted{"create_completion", UsageKind::completions},
    Counted{"create_response", UsageKind::completions},
    Counted{"create_run", UsageKind::completions},
    Counted{"create_thread_and_run", UsageKind::completions},
    Counted{"submit_tool_outputs_to_run", UsageKind::completions},
    Counted{"create_embedding", UsageKind::embeddings},
    Counted{"create_moderation", UsageKind::moderations},
    Counted{"create_image", UsageKind::images, "image.generation"},
    Counted{"create_image_edit", UsageKind::images, "image.edit"},
    Counted{"create_image_variation", UsageKind::images, "image.variation"},
    Counted{"create_speech", UsageKind::audio_speeches},
    Counted{"create_transcription", UsageKind::audio_transcriptions},
    Counted{"create_translation", UsageKind::audio_transcriptions},
};

const Counted* find(std::string_view operation) {
  for (const Counted& each : operations) {
    if (each.operation == operation) return &each;
  }
  return nullptr;
}

bool used_anything(const contract::Used& used) {
  return used.input_tokens > 0 || used.output_tokens > 0 || used.images > 0 || used.characters > 0 ||
         used.seconds > 0;
}

}  // namespace

std::optional<domain::UsageEvent> usage_event(const contract::Operation& operation,
                                              const contract::Principal& principal, contract::Used used,
                                              const Ending& ending, const domain::CostSettings& costs) {
  const Counted* counted = find(operation.name);
  if (!counted || used.requests == 0 || !principal.project) return std::nullopt;
  if (!used_anything(used) && !ending.client_left) return std::nullopt;
  if (used.input_tokens == 0) used.input_tokens = ending.prompt_tokens;
  const bool of_user = principal.owner.kind == contract::OwnerKind::user;
  return domain::UsageEvent{.series = {.tenant = {principal.organization, *principal.project},
                                       .kind = counted->kind,
                                       .user = of_user ? principal.owner.id : std::string(),
                                       .key = principal.key,
                                       .model = used.model,
                                       .delivery = used.delivery,
                                       .source = std::string(counted->source),
                                       .size = used.image_size},
                            .counts = {.requests = used.requests,
                                       .input_tokens = used.input_tokens,
                                       .input_cached_tokens = used.cached_tokens,
                                       .output_tokens = used.output_tokens,
                                       .input_audio_tokens = used.input_audio_tokens,
                                       .output_audio_tokens = used.output_audio_tokens,
                                       .images = used.images,
                                       .characters = used.characters,
                                       .seconds = used.seconds},
                            .costs = domain::costs_of(used, costs)};
}

}  // namespace hearth::api
