// The limits of a project for a model, enforced: reserve before, settle after.
//
// What counts how is the ledger's matter (limits/ledger.hpp). Here: which limits hold (the project's own over
// the configuration's), how much a request asks for, what happens while the ledger is away, and what the
// client is told.
//
// A request whose estimate alone is over the limit of tokens asks for the whole limit instead, so that it
// gets its turn; only one whose prompt is over the limit can never be served and is told so.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.hpp"
#include "contract/operation.hpp"
#include "domain/limits/ledger.hpp"
#include "domain/limits/local_ledger.hpp"
#include "domain/limits/settings.hpp"
#include "domain/token_estimate.hpp"
#include "store/rate_limits.hpp"

namespace hearth::domain {

struct LimitRequest {
  ProjectId project;
  std::string model;  // the catalogue's id
  contract::Limited limited = contract::Limited::requests;
  TokenEstimate tokens;
  std::int64_t images = 0;
  std::int64_t audio_bytes = 0;
};

// One request's place in the ledger. Destroyed unsettled, it is given back: no engine was reached. Move-only.
class Reservation {
 public:
  Reservation() = default;
  Reservation(LimitLedger& ledger, Ticket ticket) : ledger_(&ledger), ticket_(std::move(ticket)) {}
  Reservation(Reservation&& other) noexcept
      : ledger_(std::exchange(other.ledger_, nullptr)), ticket_(std::move(other.ticket_)) {}
  Reservation& operator=(Reservation&& other) noexcept {
    if (this == &other) return *this;
    settle({});
    ledger_ = std::exchange(other.ledger_, nullptr);
    ticket_ = std::move(other.ticket_);
    return *this;
  }
  ~Reservation() { settle({}); }

  // Once; later calls do nothing.
  void settle(Outcome outcome) {
    if (LimitLedger* ledger = std::exchange(ledger_, nullptr)) ledger->settle(std::move(ticket_), outcome);
  }

 private:
  LimitLedger* ledger_ = nullptr;
  Ticket ticket_;
};

// What a project may use of a model: the limits of the configuration with the project's own laid over.
Limits lay_over(Limits defaults, const store::RateLimitValues& values);

// Thread: any. Owned by app/; the ledger of several processes, where there is one, outlives it.
class RateLimiter {
 public:
  RateLimiter(store::RateLimits& rates, const Clock& clock, LimiterSettings settings,
              std::unique_ptr<LimitLedger> shared = nullptr);

  bool enabled() const { return settings_.enabled; }
  const Limits& defaults() const { return settings_.defaults; }

  // Throws ApiError 429 rate_limit_exceeded, or 503 while the ledger is away and its absence refuses. Either
  // way `standings` tell how the limits stand, unless they are not known.
  // `epoch`: the access epoch.
  Task<Reservation> reserve(LimitRequest request, std::uint64_t epoch, std::optional<Standings>& standings);

 private:
  Task<Decision> ask_shared(std::string key, const Limits& limits, const Amounts& amounts,
                            LimitLedger*& asked);
  void note_ledger(bool away, std::string_view cause);

  store::RateLimits& rates_;
  LimiterSettings settings_;
  LocalLedger local_;
  std::unique_ptr<LimitLedger> shared_;
  std::atomic<bool> away_{false};
};

}  // namespace hearth::domain
