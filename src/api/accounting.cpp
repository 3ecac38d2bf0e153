#include "api/accounting.hpp"

#include <utility>

#include "api/usage_event.hpp"

namespace hearth::api {

void Accounting::account(Exchange& exchange) const {
  if (exchange.accounted || !exchange.call) return;
  exchange.accounted = true;
  exchange.limits.settle(exchange.call->context.used());
  metrics_.used(exchange.call->context.used());
  record_usage(exchange);
}

void Accounting::record_usage(const Exchange& exchange) const {
  if (counting_ == UsageCounting::off || !exchange.principal) return;
  const Ending ending{.client_left = exchange.outcome == "client_gone",
                      .prompt_tokens = exchange.limits.prompt_estimate()};
  auto event = usage_event(*exchange.operation, *exchange.principal, exchange.call->context.used(), ending,
                           services_.metering.costs);
  if (event) services_.metering.recorder.record(std::move(*event));
}

}  // namespace hearth::api
