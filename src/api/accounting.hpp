// What a request used, told to whoever counts.
#pragma once

#include "api/exchange.hpp"
#include "api/metrics.hpp"
#include "api/services.hpp"

namespace hearth::api {

enum class UsageCounting { on, off };

// Thread: any.
class Accounting {
 public:
  Accounting(Services& services, Metrics& metrics, UsageCounting counting)
      : services_(services), metrics_(metrics), counting_(counting) {}

  // To the limits, the metrics and the usage: once, before the last byte of a reply, so that who has it sees
  // it counted, or when the request has ended in another way.
  void account(Exchange& exchange) const;

 private:
  void record_usage(const Exchange& exchange) const;

  Services& services_;
  Metrics& metrics_;
  UsageCounting counting_;
};

}  // namespace hearth::api
