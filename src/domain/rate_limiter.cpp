#include "domain/rate_limiter.hpp"

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/log.hpp"

namespace hearth::domain {
namespace {

constexpr std::chrono::seconds away_pause{1};

struct Wording {
  std::string_view type;   // of the error
  std::string_view limit;  // "requests per minute (RPM)"
};

Wording wording_of(LimitKind kind) {
  switch (kind) {
    case LimitKind::requests:
      return {"requests", "requests per minute (RPM)"};
    case LimitKind::requests_per_day:
      return {"requests", "requests per day (RPD)"};
    case LimitKind::tokens:
      return {"tokens", "tokens per minute (TPM)"};
    case LimitKind::images:
      return {"requests", "images per minute"};
    case LimitKind::audio:
      return {"requests", "bytes of audio per minute"};
  }
  return {"requests", "requests"};
}

std::string wait_text(std::chrono::milliseconds wait) {
  if (wait < std::chrono::seconds(1)) return fmt::format("{} ms", wait.count());
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
  return fmt::format("{} s", seconds);
}

ApiError refused(const LimitRequest& request, const Refusal& refusal, std::int64_t requested) {
  const Wording wording = wording_of(refusal.kind);
  if (!refusal.retry_after) {
    return {
        429, wording.type, "rate_limit_exceeded",
        fmt::format("Request too large for the model '{}' in the project {}: it needs {} {} and the limit "
                    "is {}. Waiting will not help.",
                    request.model, request.project.str(), requested, wording.limit, refusal.limit)};
  }
  return ApiError(429, wording.type, "rate_limit_exceeded",
                  fmt::format("Rate limit reached for the model '{}' in the project {} on {}: limit {}, used "
                              "{}, requested {}. Try again in {}.",
                              request.model, request.project.str(), wording.limit, refusal.limit,
                              refusal.used, requested, wait_text(*refusal.retry_after)))
      .with_retry_after(std::max(*refusal.retry_after, std::chrono::milliseconds(1)));
}

void lay(std::int64_t& limit, const std::optional<std::int64_t>& value) {
  if (value) limit = std::min(*value, unlimited);
}

}  // namespace

Limits lay_over(Limits limits, const store::RateLimitValues& values) {
  lay(limits.requests, values.requests_per_minute);
  lay(limits.tokens, values.tokens_per_minute);
  lay(limits.images, values.images_per_minute);
  lay(limits.requests_per_day, values.requests_per_day);
  lay(limits.batch_input_tokens_per_day, values.batch_input_tokens_per_day);
  if (values.audio_megabytes_per_minute) {
    const std::int64_t megabytes = *values.audio_megabytes_per_minute;
    limits.audio_bytes =
        megabytes >= unlimited / bytes_per_megabyte ? unlimited : megabytes * bytes_per_megabyte;
  }
  return limits;
}

RateLimiter::RateLimiter(store::RateLimits& rates, const Clock& clock, LimiterSettings settings,
                         std::unique_ptr<LimitLedger> shared)
    : rates_(rates),
      settings_(settings),
      local_(clock, settings.reservation_time),
      shared_(std::move(shared)) {}

Task<Reservation> RateLimiter::reserve(LimitRequest request, std::uint64_t epoch,
                                       std::optional<Standings>& standings) {
  if (!settings_.enabled) co_return Reservation();
  const auto values = co_await rates_.find(request.project, request.model, epoch);
  const Limits limits = values ? lay_over(settings_.defaults, *values) : settings_.defaults;

  Amounts amounts{.requests = 1, .images = request.images, .audio_bytes = request.audio_bytes};
  if (request.limited == contract::Limited::tokens) {
    amounts.tokens = request.tokens.total();
    if (request.tokens.prompt <= limits.tokens) amounts.tokens = std::min(amounts.tokens, limits.tokens);
  }
  std::string key;
  key.reserve(request.project.str().size() + 1 + request.model.size());
  key.append(request.project.str()).append("/").append(request.model);
  LimitLedger* asked = &local_;
  Decision decision = shared_ ? co_await ask_shared(std::move(key), limits, amounts, asked)
                              : local_.decide(std::move(key), limits, amounts);
  if (!asked) co_return Reservation();
  standings = decision.standings;
  if (decision.refusal) {
    standings->hopeless = !decision.refusal->retry_after;
    const bool of_prompt = decision.refusal->kind == LimitKind::tokens && !decision.refusal->retry_after;
    throw refused(request, *decision.refusal,
                  of_prompt ? request.tokens.prompt : decision.refusal->requested);
  }
  co_return Reservation(*asked, std::move(decision.ticket));
}

// `asked` is who answered; nullptr when nobody was asked.
Task<Decision> RateLimiter::ask_shared(std::string key, const Limits& limits, const Amounts& amounts,
                                       LimitLedger*& asked) {
  std::string cause;
  try {
    asked = shared_.get();
    Decision decision = co_await shared_->reserve(key, limits, amounts);
    note_ledger(false, "");
    co_return decision;
  } catch (const LedgerAway& away) {
    cause = away.what();
    asked = nullptr;
  }
  note_ledger(true, cause);
  if (settings_.failure == LedgerFailure::allow) co_return Decision{};
  if (settings_.failure == LedgerFailure::refuse) {
    throw ApiError::unavailable("rate_limits_unavailable",
                                "The server cannot check the rate limits at the moment; try again.")
        .with_retry_after(away_pause);
  }
  asked = &local_;
  co_return local_.decide(std::move(key), limits, amounts);
}

// Logged when it changes, not with every request.
void RateLimiter::note_ledger(bool away, std::string_view cause) {
  if (away_.exchange(away) == away) return;
  if (away) {
    log::error("limits.redis_away", {{"cause", cause}});
  } else {
    log::info("limits.redis_back");
  }
}

}  // namespace hearth::domain
