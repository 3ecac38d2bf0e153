#include "domain/metered_call.hpp"

#include <utility>

namespace hearth::domain {
namespace {

bool used_anything(const contract::Used& used) {
  return used.input_tokens > 0 || used.output_tokens > 0 || used.images > 0 || used.characters > 0 ||
         used.seconds > 0;
}

}  // namespace

Payer Payer::of(const contract::Principal& principal) {
  return {.tenant = {principal.organization, *principal.project},
          .key = principal.key,
          .owner_kind = principal.owner.kind,
          .owner = principal.owner.id};
}

std::map<std::string, Metering::Tokens, std::less<>> Metering::tokens() const {
  std::lock_guard lock(mutex_);
  return tokens_;
}

void Metering::count(const contract::Used& used) {
  std::lock_guard lock(mutex_);
  auto entry = tokens_.find(used.model);
  if (entry == tokens_.end()) entry = tokens_.emplace(used.model, Tokens{}).first;
  entry->second.input += used.input_tokens;
  entry->second.output += used.output_tokens;
}

MeteredCall::MeteredCall(Metering& metering, Payer payer, Target target, Work work, std::string request_id,
                         SteadyTime deadline)
    : metering_(metering),
      payer_(std::move(payer)),
      target_(std::move(target)),
      work_(work),
      context_(std::move(request_id), deadline) {}

MeteredCall::~MeteredCall() {
  abandon();
}

Task<void> MeteredCall::reserve(std::uint64_t epoch) {
  if (metering_.settings_.usage == MeteringSettings::Usage::counted) {
    co_await metering_.budgets_.check(payer_.tenant, epoch);
  }
  const bool limited =
      work_.limited != contract::Limited::none && work_.delivery == contract::Delivery::direct;
  if (!limited || !metering_.limits_.enabled()) co_return;
  reservation_ = co_await metering_.limits_.reserve({.project = payer_.tenant.project,
                                                     .model = target_.model->id,
                                                     .limited = work_.limited,
                                                     .tokens = work_.tokens,
                                                     .images = work_.images,
                                                     .audio_bytes = work_.audio_bytes},
                                                    epoch, standings_);
}

void MeteredCall::reached_engine() {
  contract::Used& used = context_.used();
  used.model = target_.model->id;
  used.requests = 1;
  used.delivery = work_.delivery;
  used.prices = target_.model->prices;
}

void MeteredCall::end() {
  settle(Ending::by_itself);
}

void MeteredCall::abandon() {
  settle(Ending::abandoned);
}

void MeteredCall::settle(Ending ending) {
  if (std::exchange(ended_, true)) return;
  const contract::Used& used = context_.used();
  const bool reached = used.requests > 0;
  const std::int64_t prompt = used.input_tokens > 0 ? used.input_tokens : work_.tokens.prompt;
  reservation_.settle({.reached_engine = reached, .tokens = prompt + used.output_tokens});
  if (!reached) return;
  metering_.count(used);
  const bool counts = used_anything(used) || ending == Ending::abandoned;
  if (counts && metering_.settings_.usage == MeteringSettings::Usage::counted) record(used);
}

void MeteredCall::record(contract::Used used) {
  if (used.input_tokens == 0) used.input_tokens = work_.tokens.prompt;
  const bool of_user = payer_.owner_kind == contract::OwnerKind::user;
  auto costs = costs_of(used, metering_.settings_.costs);
  metering_.recorder_.record({.series = {.tenant = std::move(payer_.tenant),
                                         .kind = work_.usage,
                                         .user = of_user ? std::move(payer_.owner) : std::string(),
                                         .key = std::move(payer_.key),
                                         .model = std::move(used.model),
                                         .delivery = used.delivery,
                                         .source = std::string(work_.source),
                                         .size = std::move(used.image_size)},
                              .counts = {.requests = used.requests,
                                         .input_tokens = used.input_tokens,
                                         .input_cached_tokens = used.cached_tokens,
                                         .output_tokens = used.output_tokens,
                                         .input_audio_tokens = used.input_audio_tokens,
                                         .output_audio_tokens = used.output_audio_tokens,
                                         .images = used.images,
                                         .characters = used.characters,
                                         .seconds = used.seconds},
                              .costs = std::move(costs)});
}

}  // namespace hearth::domain
