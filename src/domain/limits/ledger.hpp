// What a project has used of a model lately, kept by one process (LocalLedger) or by Redis for several
// (RedisLedger): asked before a request runs, told afterwards.
//
// Both keep the same, for each key (a project and a model), in sliding windows:
//
//   minute = requests, images and bytes of sound that were reserved in the last 60 s
//            + tokens that were settled in the last 60 s + tokens that are held
//   day    = requests that were reserved in the last 24 h (kept only where a day has a limit)
//
// A request is let in when each sum with its own amounts is at most its limit; then all of them are counted,
// else none. Until the request has ended its tokens are *held* at their estimate; settle() replaces them by
// what was really used, which counts from that moment on for 60 s. A reservation that nobody settles expires
// after its lifetime: its tokens count as used at their estimate from then on. What never reached an engine
// is given back as if it had never been.
//
// Times are rounded up to steps (10 ms of a minute, one minute of a day), so that memory is bounded:
//   - no window of 60 s (24 h) of reservations ever holds more than the limit;
//   - room comes back at most one step late; nothing is refused while there is room by the sums above.
// A key without anything counted or held is forgotten.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

#include "async/task.hpp"

namespace hearth::domain {

// The largest integer that JSON, JavaScript and Lua agree on: as good as no limit, and shown as such.
inline constexpr std::int64_t unlimited = 9'007'199'254'740'991;

inline constexpr std::int64_t bytes_per_megabyte = 1'000'000;

enum class LimitKind : std::uint8_t { requests, requests_per_day, tokens, images, audio };

// The limits of one project for one model; `unlimited` where there is none, 0 where nothing is allowed.
struct Limits {
  std::int64_t requests = unlimited;  // a minute, as the next three
  std::int64_t tokens = unlimited;
  std::int64_t images = unlimited;
  std::int64_t audio_bytes = unlimited;
  std::int64_t requests_per_day = unlimited;
  std::int64_t batch_input_tokens_per_day = unlimited;  // for batches; no request draws on it
  bool operator==(const Limits&) const = default;
};

struct Amounts {
  std::int64_t requests = 0;
  std::int64_t tokens = 0;
  std::int64_t images = 0;
  std::int64_t audio_bytes = 0;
  bool operator==(const Amounts&) const = default;
};

// How one limit stands.
struct Standing {
  std::int64_t limit = unlimited;
  std::int64_t used = 0;
  std::chrono::milliseconds until_free{0};  // until all of it is there again, if nothing more is asked
};

struct Standings {
  Standing requests;
  Standing requests_per_day;
  Standing tokens;
  bool hopeless = false;  // refused, and so it will be whenever it comes: it is larger than a limit
};

struct Refusal {
  LimitKind kind = LimitKind::requests;
  std::int64_t limit = 0;
  std::int64_t used = 0;
  std::int64_t requested = 0;
  // When there will be room, if nothing else comes; nullopt when never: the request is larger than the limit.
  std::optional<std::chrono::milliseconds> retry_after;
};

// What was reserved, for settling it.
struct Ticket {
  std::string key;
  std::uint64_t id = 0;
  std::int64_t minute_step = 0;
  std::int64_t day_step = 0;  // 0: no day was counted
  Amounts amounts;
};

struct Decision {
  std::optional<Refusal> refusal;
  Ticket ticket;  // without a refusal
  Standings standings;
};

// What became of a request.
struct Outcome {
  bool reached_engine = false;
  std::int64_t tokens = 0;
};

// Thread: any. reserve() may throw LedgerAway.
class LimitLedger {
 public:
  virtual ~LimitLedger() = default;
  virtual Task<Decision> reserve(std::string key, const Limits& limits, Amounts amounts) = 0;
  // Does not wait: what cannot be told any more expires by itself.
  virtual void settle(Ticket ticket, Outcome outcome) = 0;
};

// The ledger cannot be asked. The message is for the log.
class LedgerAway : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace hearth::domain
