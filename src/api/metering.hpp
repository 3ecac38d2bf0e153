// From a request to the metered call that its answer takes.
#pragma once

#include "api/call.hpp"
#include "api/services.hpp"

namespace hearth::api {

// The first thing that the handler of an operation with `usage` in the contract does, when its JSON body
// names a `model`: finds the model, checks the budget of the key's project and reserves its share of the
// limits. From then on `call.metered` holds the call. Throws ApiError 404 model_not_found, and what
// MeteredCall::reserve() throws. The rest is the pipeline's: it tells the limits in the reply's header, and
// ends the call before the last byte of its reply, so that who has it sees it counted.
Task<void> meter(Services& services, Call& call);

}  // namespace hearth::api
