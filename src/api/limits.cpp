#include "api/limits.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "contract/fields.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;
using contract::Limited;

domain::Generates generated_by(const contract::Operation& operation) {
  return operation.usage == contract::UsageKind::completions ? domain::Generates::text
                                                             : domain::Generates::nothing;
}

// As the original writes durations: "120ms", "1s", "6m0s", "1h0m0s".
std::string duration_text(std::chrono::milliseconds duration) {
  std::string text;
  const auto add = [&text](std::int64_t count, std::string_view unit) {
    const fmt::format_int digits(count);  // every reply has two of these: the format string's work is saved
    text.append(digits.data(), digits.size()).append(unit);
  };
  if (duration < std::chrono::seconds(1)) {
    add(duration.count(), "ms");
    return text;
  }
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(duration).count();
  if (seconds >= 3600) add(seconds / 3600, "h");
  if (seconds >= 60) add(seconds / 60 % 60, "m");
  add(seconds % 60, "s");
  return text;
}

std::int64_t remaining(const domain::Standing& standing) {
  return std::max<std::int64_t>(0, standing.limit - standing.used);
}

struct HeaderNames {
  std::string_view limit;
  std::string_view remaining;
  std::string_view reset;
};
constexpr HeaderNames of_requests{"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
                                  "x-ratelimit-reset-requests"};
constexpr HeaderNames of_tokens{"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
                                "x-ratelimit-reset-tokens"};

void add_standing(net::Headers& headers, const HeaderNames& names, const domain::Standing& standing) {
  if (standing.limit == domain::unlimited) return;
  const auto literal = net::HeaderName::literal;
  headers.add(literal(names.limit), fmt::format_int(standing.limit).str());
  headers.add(literal(names.remaining), fmt::format_int(remaining(standing)).str());
  headers.add(literal(names.reset), duration_text(standing.until_free));
}

}  // namespace

Task<void> RequestLimits::reserve(Services& services, const contract::Call& call) {
  if (call.operation.limited == Limited::none || !call.body || !call.principal.project) co_return;
  const json::object& body = call.body->get_object();
  if (!services.metering.rate_limiter.enabled()) {
    if (call.operation.limited == Limited::tokens) {
      prompt_estimate_ = domain::estimate_tokens(body, domain::Generates::nothing, 0).prompt;
    }
    co_return;
  }
  const auto name = json::find_string(body, field::model);
  if (!name) co_return;
  const auto catalogue = co_await services.models.directory.current();
  const engine::Model* model = catalogue->find(*name, call.project());
  if (!model) co_return;

  domain::LimitRequest request{
      .project = call.project(), .model = model->id, .limited = call.operation.limited};
  if (request.limited == Limited::tokens) {
    request.tokens = domain::estimate_tokens(body, generated_by(call.operation), model->context);
    prompt_estimate_ = request.tokens.prompt;
  }
  if (request.limited == Limited::images) request.images = json::find_integer(body, field::n).value_or(1);
  reservation_ = co_await services.metering.rate_limiter.reserve(std::move(request), standings_);
}

void RequestLimits::add_headers(net::Headers& headers) const {
  if (!standings_) return;
  const domain::Standing& minute = standings_->requests;
  const domain::Standing& day = standings_->requests_per_day;
  // There is room for one of the two only: the one that ends first.
  add_standing(headers, of_requests, remaining(day) < remaining(minute) ? day : minute);
  add_standing(headers, of_tokens, standings_->tokens);
  if (standings_->hopeless) headers.add("x-should-retry", "false");
}

void RequestLimits::settle(const contract::Used& used) {
  const std::int64_t prompt = used.input_tokens > 0 ? used.input_tokens : prompt_estimate_;
  reservation_.settle({.reached_engine = used.requests > 0, .tokens = prompt + used.output_tokens});
}

}  // namespace hearth::api
