// What the limiter is told by the configuration.
#pragma once

#include <chrono>

#include "domain/limits/ledger.hpp"

namespace hearth::domain {

// While Redis cannot be asked: let every request through, refuse every one (503), or count in each process by
// itself.
enum class LedgerFailure { allow, refuse, local };

struct LimiterSettings {
  bool enabled = true;
  Limits defaults;
  std::chrono::milliseconds reservation_time{900'000};
  LedgerFailure failure = LedgerFailure::local;
};

}  // namespace hearth::domain
