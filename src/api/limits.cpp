#include "api/limits.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace hearth::api {
namespace {

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

void add_limit_headers(net::Headers& headers, const domain::Standings& standings) {
  const domain::Standing& minute = standings.requests;
  const domain::Standing& day = standings.requests_per_day;
  // There is room for one of the two only: the one that ends first.
  add_standing(headers, of_requests, remaining(day) < remaining(minute) ? day : minute);
  add_standing(headers, of_tokens, standings.tokens);
  if (standings.hopeless) headers.add("x-should-retry", "false");
}

}  // namespace hearth::api
