// A request that has ended, as usage counts it.
#pragma once

#include <optional>

#include "contract/operation.hpp"
#include "contract/principal.hpp"
#include "contract/used.hpp"
#include "domain/usage_recorder.hpp"

namespace hearth::api {

// How a request ended, for what its engine did not get to count.
struct Ending {
  bool client_left = false;
  std::int64_t prompt_tokens = 0;  // estimated
};

// nullopt for requests that used nothing: those that reached no engine, and those that failed there before
// anything came back. A client that left has used its prompt, which then counts as estimated, and what was
// generated until then.
std::optional<domain::UsageEvent> usage_event(const contract::Operation& operation,
                                              const contract::Principal& principal, contract::Used used,
                                              const Ending& ending, const domain::CostSettings& costs);

}  // namespace hearth::api
