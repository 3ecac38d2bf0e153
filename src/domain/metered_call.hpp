// What a model is made to do, metered: whoever asks for it (a live request, a run, a batch line, an eval, an
// ingested file, a realtime turn) does it through one MeteredCall.
//
//   made ──▶ reserve() ──▶ reached_engine() ──▶ context().used() grows ──▶ end() or abandon()
//            budget,       when an engine        as the engine tells      limits settled, costs priced,
//            limits        is had                                         usage recorded
//
// Each of these happens once, whatever the order in which they are left out: a call that is dropped at any
// point gives back or settles what it holds. No HTTP is known here; a job makes one as the pipeline does.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.hpp"
#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/operation.hpp"
#include "contract/principal.hpp"
#include "contract/usage_kind.hpp"
#include "contract/used.hpp"
#include "domain/costs.hpp"
#include "domain/model_directory.hpp"
#include "domain/rate_limiter.hpp"
#include "domain/spend_limits.hpp"
#include "domain/token_estimate.hpp"
#include "domain/usage_recorder.hpp"
#include "engine/backend.hpp"
#include "store/tenant.hpp"

namespace hearth::domain {

// The project and key whose budget, limits and usage a call belongs to.
struct Payer {
  store::Tenant tenant;
  KeyId key;  // empty: no key asked for it, but its owner did (a job)
  contract::OwnerKind owner_kind = contract::OwnerKind::user;
  std::string owner;  // of the user or the service account

  // The payer of a request with a project's key.
  static Payer of(const contract::Principal& principal);
};

// What a model is asked for, as far as limits, usage and prices mind it.
struct Work {
  contract::Limited limited = contract::Limited::requests;
  contract::UsageKind usage = contract::UsageKind::completions;
  std::string_view source;  // of images: "image.generation"; outlives the call
  // A batch has its limit as a whole, when it is accepted: its lines draw on none by the minute.
  contract::Delivery delivery = contract::Delivery::direct;
  TokenEstimate tokens;
  std::int64_t images = 0;
  std::int64_t audio_bytes = 0;
};

struct MeteringSettings {
  enum class Usage { counted, uncounted };
  Usage usage = Usage::counted;  // uncounted: no budget holds either
  CostSettings costs;
};

// What all metered calls of a process share. Thread: any. Owned by app/, outlives them.
class Metering {
 public:
  struct Tokens {
    std::int64_t input = 0;
    std::int64_t output = 0;
  };

  Metering(SpendLimits& budgets, RateLimiter& limits, UsageRecorder& recorder, MeteringSettings settings)
      : budgets_(budgets), limits_(limits), recorder_(recorder), settings_(std::move(settings)) {}

  // What engines counted since the process began, by model.
  std::map<std::string, Tokens, std::less<>> tokens() const;

 private:
  friend class MeteredCall;

  void count(const contract::Used& used);

  SpendLimits& budgets_;
  RateLimiter& limits_;
  UsageRecorder& recorder_;
  const MeteringSettings settings_;
  mutable std::mutex mutex_;
  std::map<std::string, Tokens, std::less<>> tokens_;  // guarded by mutex_
};

// Stays where it was made: engines refer to its context until their reply or stream has ended. Thread: that
// of whoever made it.
class MeteredCall {
 public:
  MeteredCall(Metering& metering, Payer payer, Target target, Work work, std::string request_id,
              SteadyTime deadline);
  MeteredCall(const MeteredCall&) = delete;
  MeteredCall& operator=(const MeteredCall&) = delete;
  // As abandon().
  ~MeteredCall();

  // Once, before an engine is asked. Throws ApiError 429 insufficient_quota or rate_limit_exceeded, or 503
  // (see RateLimiter): then nothing is held. `epoch` is the access epoch as the asker knows it.
  Task<void> reserve(std::uint64_t epoch);

  const Target& target() const { return target_; }
  // How the limits stand since reserve(), also when that refused; nullopt where nothing is limited.
  const std::optional<Standings>& standings() const { return standings_; }

  // What engines are told of it, and tell.
  engine::CallContext& context() { return context_; }
  const engine::CallContext& context() const { return context_; }
  // An engine is had and works for it from now on.
  void reached_engine();

  // The work has ended by itself, well or badly: what the engine told counts, and the prompt as estimated
  // where it told of output alone. Nothing is recorded of work that used nothing. Later calls do nothing.
  void end();
  // Whoever wanted it has left in the middle: once an engine was reached its prompt counts, as estimated
  // where nobody told, beside what came until then.
  void abandon();

 private:
  enum class Ending { by_itself, abandoned };
  void settle(Ending ending);
  void record(contract::Used used);

  Metering& metering_;
  Payer payer_;
  Target target_;
  Work work_;
  engine::CallContext context_;
  Reservation reservation_;
  std::optional<Standings> standings_;
  bool ended_ = false;
};

}  // namespace hearth::domain
