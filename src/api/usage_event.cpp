#include "api/usage_event.hpp"

#include <string>

namespace hearth::api {
namespace {

bool used_anything(const contract::Used& used) {
  return used.input_tokens > 0 || used.output_tokens > 0 || used.images > 0 || used.characters > 0 ||
         used.seconds > 0;
}

}  // namespace

std::optional<domain::UsageEvent> usage_event(const contract::Operation& operation,
                                              const contract::Principal& principal, contract::Used used,
                                              const Ending& ending, const domain::CostSettings& costs) {
  if (!operation.usage || used.requests == 0 || !principal.project) return std::nullopt;
  if (!used_anything(used) && !ending.client_left) return std::nullopt;
  if (used.input_tokens == 0) used.input_tokens = ending.prompt_tokens;
  const bool of_user = principal.owner.kind == contract::OwnerKind::user;
  return domain::UsageEvent{.series = {.tenant = {principal.organization, *principal.project},
                                       .kind = *operation.usage,
                                       .user = of_user ? principal.owner.id : std::string(),
                                       .key = principal.key,
                                       .model = used.model,
                                       .delivery = used.delivery,
                                       .source = std::string(operation.usage_source),
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
