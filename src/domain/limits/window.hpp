// The sliding windows of one key: the rules that ledger.hpp states, without clocks, locks and names.
//
// Times are milliseconds that never go back. Thread: its owner's.
#pragma once

#include <cstdint>
#include <deque>

#include "domain/limits/ledger.hpp"

namespace hearth::domain {

class LimitWindow {
 public:
  static constexpr std::int64_t minute = 60'000;
  static constexpr std::int64_t minute_step = 10;
  static constexpr std::int64_t day = 86'400'000;
  static constexpr std::int64_t day_step = 60'000;

  // Ids ascend and never come again, also not for a window that was dropped and made anew: a late settle()
  // must not find another's reservation. All lifetimes are the same.
  struct Reserving {
    std::uint64_t id;
    std::int64_t lifetime;
  };

  // Decides, and counts what it lets in.
  Decision reserve(std::int64_t now, const Limits& limits, const Amounts& amounts, Reserving reserving);
  // The ticket must come from this window.
  void settle(std::int64_t now, const Ticket& ticket, const Outcome& outcome);
  // Nothing is counted or held any more.
  bool is_idle(std::int64_t now);

 private:
  struct Step {
    std::int64_t at;
    Amounts amounts;
  };
  struct Held {
    std::uint64_t id;
    std::int64_t expires_at;
    std::int64_t tokens;
    bool settled;
  };

  void advance(std::int64_t now);
  Step& step_at(std::int64_t time);
  void drop_settled();
  std::optional<Refusal> refuse(std::int64_t now, const Limits& limits, const Amounts& amounts) const;
  // Until the oldest steps have freed `needed` of the amount.
  std::optional<std::int64_t> wait_for(std::int64_t now, std::int64_t Amounts::* amount,
                                       std::int64_t needed) const;
  std::int64_t wait_for_day(std::int64_t now, std::int64_t needed) const;
  Standings standings(std::int64_t now, const Limits& limits) const;

  std::deque<Step> steps_;  // of the minute, oldest first
  Amounts counted_;         // the sum of steps_
  std::deque<Step> days_;   // requests alone
  std::int64_t day_requests_ = 0;
  std::deque<Held> held_;  // oldest first: ids and ends ascend
  std::int64_t held_tokens_ = 0;
};

}  // namespace hearth::domain
