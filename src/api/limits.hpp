// A request's limits: reserved when it is known to be valid, told in the reply's header, settled at its end.
#pragma once

#include <optional>

#include "api/services.hpp"
#include "contract/call.hpp"
#include "domain/rate_limiter.hpp"
#include "net/http.hpp"

namespace hearth::api {

// One for each request; the pipeline's. Thread: the session's.
class RequestLimits {
 public:
  // For operations that are limited by model, when the body is valid. Nothing for a model that does not
  // exist: its handler says so. Throws ApiError 429 (see RateLimiter).
  Task<void> reserve(Services& services, const contract::Call& call);

  // The original's x-ratelimit-*; nothing for what has no limit or was not asked.
  void add_headers(net::Headers& headers) const;

  // At the request's end, however it ended. A request that no engine was asked for is given back. Where an
  // engine told nothing of the prompt, that counts as estimated.
  void settle(const contract::Used& used);

  // Tokens of the prompt, as far as its text tells; also where nothing is limited.
  std::int64_t prompt_estimate() const { return prompt_estimate_; }

 private:
  domain::Reservation reservation_;
  std::optional<domain::Standings> standings_;
  std::int64_t prompt_estimate_ = 0;
};

}  // namespace hearth::api
