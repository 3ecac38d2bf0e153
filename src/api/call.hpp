// A validated request as handlers of the API get it.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "contract/call.hpp"
#include "domain/metered_call.hpp"

namespace hearth::api {

// Built by the pipeline, lives until the reply's last byte. Thread: the session's.
struct Call : contract::Call {
  Call(contract::Call valid, std::uint64_t epoch) : contract::Call(std::move(valid)), access_epoch(epoch) {}

  // As it was when the request was authenticated: whatever depends on it is asked for with this value.
  const std::uint64_t access_epoch;
  // The work of a model that it is answered with: see metering.hpp. The pipeline tells its limits, and ends
  // it.
  std::optional<domain::MeteredCall> metered;
};

}  // namespace hearth::api
