// The ledger of several processes, in Redis: the rules of ledger.hpp in one script, which Redis runs as one
// step, by its own clock.
//
// Four keys for each of ours, `hearth:limits:{PROJECT/MODEL}` and three with an ending: sums, steps and open
// reservations in a hash, their order in lists. They expire when nothing in them can count any more. What
// Redis forgets (a restart without persistence, an eviction) is forgotten here: the windows begin empty.
#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.hpp"
#include "domain/limits/ledger.hpp"
#include "net/redis_client.hpp"

namespace hearth::domain {

class RedisLedger final : public LimitLedger {
 public:
  // With `clock` its steady time rules instead of Redis's: for tests.
  RedisLedger(net::RedisClient& redis, std::chrono::milliseconds reservation_time,
              const Clock* clock = nullptr);

  Task<Decision> reserve(std::string key, const Limits& limits, Amounts amounts) override;
  void settle(Ticket ticket, Outcome outcome) override;

 private:
  // EVALSHA with the script's digest, or EVAL with its text.
  net::RedisClient::Command command(std::string_view verb, const std::string& key,
                                    std::initializer_list<std::string> arguments) const;
  std::string now() const;

  net::RedisClient& redis_;
  std::chrono::milliseconds reservation_time_;
  const Clock* clock_;
  std::atomic<std::uint64_t> next_id_;  // from a random start: other processes count too
};

}  // namespace hearth::domain
