#include "domain/limits/window.hpp"

#include <algorithm>
#include <array>

namespace hearth::domain {
namespace {

// While nothing but running requests stands in the way, nobody knows when they end: ask again soon.
constexpr std::int64_t wait_for_running = 1000;

std::int64_t round_up(std::int64_t time, std::int64_t step) {
  return (time + step - 1) / step * step;
}

}  // namespace

Decision LimitWindow::reserve(std::int64_t now, const Limits& limits, const Amounts& amounts,
                              Reserving reserving) {
  advance(now);
  Decision decision;
  decision.refusal = refuse(now, limits, amounts);
  if (!decision.refusal) {
    Ticket& ticket = decision.ticket;
    ticket.amounts = amounts;
    ticket.id = reserving.id;
    Step& step = step_at(now);
    ticket.minute_step = step.at;
    step.amounts.requests += amounts.requests;
    step.amounts.images += amounts.images;
    step.amounts.audio_bytes += amounts.audio_bytes;
    counted_.requests += amounts.requests;
    counted_.images += amounts.images;
    counted_.audio_bytes += amounts.audio_bytes;
    if (limits.requests_per_day != unlimited) {
      ticket.day_step = round_up(now, day_step);
      if (days_.empty() || days_.back().at != ticket.day_step) days_.push_back({ticket.day_step, {}});
      days_.back().amounts.requests += amounts.requests;
      day_requests_ += amounts.requests;
    }
    held_.push_back({ticket.id, now + reserving.lifetime, amounts.tokens, false});
    held_tokens_ += amounts.tokens;
  }
  decision.standings = standings(now, limits);
  return decision;
}

void LimitWindow::settle(std::int64_t now, const Ticket& ticket, const Outcome& outcome) {
  advance(now);
  const auto held = std::ranges::lower_bound(held_, ticket.id, {}, &Held::id);
  if (held != held_.end() && held->id == ticket.id && !held->settled) {
    held->settled = true;
    held_tokens_ -= held->tokens;
    if (outcome.reached_engine && outcome.tokens > 0) {
      step_at(now).amounts.tokens += outcome.tokens;
      counted_.tokens += outcome.tokens;
    }
    drop_settled();
  }
  if (outcome.reached_engine) return;
  const auto step = std::ranges::lower_bound(steps_, ticket.minute_step, {}, &Step::at);
  if (step != steps_.end() && step->at == ticket.minute_step) {
    step->amounts.requests -= ticket.amounts.requests;
    step->amounts.images -= ticket.amounts.images;
    step->amounts.audio_bytes -= ticket.amounts.audio_bytes;
    counted_.requests -= ticket.amounts.requests;
    counted_.images -= ticket.amounts.images;
    counted_.audio_bytes -= ticket.amounts.audio_bytes;
  }
  const auto of_day = std::ranges::lower_bound(days_, ticket.day_step, {}, &Step::at);
  if (of_day != days_.end() && of_day->at == ticket.day_step) {
    of_day->amounts.requests -= ticket.amounts.requests;
    day_requests_ -= ticket.amounts.requests;
  }
}

bool LimitWindow::is_idle(std::int64_t now) {
  advance(now);
  return steps_.empty() && days_.empty() && held_.empty();
}

void LimitWindow::advance(std::int64_t now) {
  // Ends of reservations come before now, and after everything that is in steps_: the order holds.
  while (!held_.empty() && (held_.front().settled || held_.front().expires_at <= now)) {
    const Held& first = held_.front();
    if (!first.settled) {
      held_tokens_ -= first.tokens;
      if (first.tokens > 0) {
        step_at(first.expires_at).amounts.tokens += first.tokens;
        counted_.tokens += first.tokens;
      }
    }
    held_.pop_front();
  }
  while (!steps_.empty() && steps_.front().at + minute <= now) {
    const Amounts& gone = steps_.front().amounts;
    counted_.requests -= gone.requests;
    counted_.tokens -= gone.tokens;
    counted_.images -= gone.images;
    counted_.audio_bytes -= gone.audio_bytes;
    steps_.pop_front();
  }
  while (!days_.empty() && days_.front().at + day <= now) {
    day_requests_ -= days_.front().amounts.requests;
    days_.pop_front();
  }
}

LimitWindow::Step& LimitWindow::step_at(std::int64_t time) {
  const std::int64_t at = round_up(time, minute_step);
  if (steps_.empty() || steps_.back().at < at) steps_.push_back({at, {}});
  return steps_.back();
}

void LimitWindow::drop_settled() {
  while (!held_.empty() && held_.front().settled)
    held_.pop_front();
}

std::optional<Refusal> LimitWindow::refuse(std::int64_t now, const Limits& limits,
                                           const Amounts& amounts) const {
  struct Check {
    LimitKind kind;
    std::int64_t limit, used, asked;
    std::int64_t Amounts::* amount;  // nullptr: the day's requests
  };
  const std::array checks{
      Check{LimitKind::requests_per_day, limits.requests_per_day, day_requests_, amounts.requests, nullptr},
      Check{LimitKind::requests, limits.requests, counted_.requests, amounts.requests, &Amounts::requests},
      Check{LimitKind::tokens, limits.tokens, counted_.tokens + held_tokens_, amounts.tokens,
            &Amounts::tokens},
      Check{LimitKind::images, limits.images, counted_.images, amounts.images, &Amounts::images},
      Check{LimitKind::audio, limits.audio_bytes, counted_.audio_bytes, amounts.audio_bytes,
            &Amounts::audio_bytes}};
  std::optional<Refusal> longest;
  for (const Check& check : checks) {
    if (check.asked == 0 || check.used + check.asked <= check.limit) continue;
    Refusal refusal{check.kind, check.limit, check.used, check.asked, std::nullopt};
    if (check.asked > check.limit) return refusal;
    const std::int64_t needed = check.used + check.asked - check.limit;
    const std::int64_t wait = check.amount ? wait_for(now, check.amount, needed).value_or(wait_for_running)
                                           : wait_for_day(now, needed);
    refusal.retry_after = std::chrono::milliseconds(wait);
    if (!longest || *longest->retry_after < *refusal.retry_after) longest = refusal;
  }
  return longest;
}

std::optional<std::int64_t> LimitWindow::wait_for(std::int64_t now, std::int64_t Amounts::* amount,
                                                  std::int64_t needed) const {
  for (const Step& step : steps_) {
    needed -= step.amounts.*amount;
    if (needed <= 0) return step.at + minute - now;
  }
  return std::nullopt;
}

std::int64_t LimitWindow::wait_for_day(std::int64_t now, std::int64_t needed) const {
  for (const Step& step : days_) {
    needed -= step.amounts.requests;
    if (needed <= 0) return step.at + day - now;
  }
  return day;
}

Standings LimitWindow::standings(std::int64_t now, const Limits& limits) const {
  using std::chrono::milliseconds;
  const milliseconds minute_left(steps_.empty() ? 0 : steps_.back().at + minute - now);
  const milliseconds day_left(days_.empty() ? 0 : days_.back().at + day - now);
  Standings out;
  out.requests = {limits.requests, counted_.requests, counted_.requests > 0 ? minute_left : milliseconds(0)};
  out.requests_per_day = {limits.requests_per_day, day_requests_, day_left};
  out.tokens = {limits.tokens, counted_.tokens + held_tokens_,
                held_tokens_ > 0      ? milliseconds(minute)
                : counted_.tokens > 0 ? minute_left
                                      : milliseconds(0)};
  return out;
}

}  // namespace hearth::domain
