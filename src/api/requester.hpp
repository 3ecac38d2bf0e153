// A call seen from below: whose data it works on, who is responsible, what an engine is told about it.
#pragma once

#include "contract/call.hpp"
#include "engine/backend.hpp"
#include "store/audit_logs.hpp"
#include "store/tenant.hpp"

namespace hearth::api {

// Of operations with `auth: key` only.
store::Tenant tenant_of(const contract::Call& call);

// Who answers for a change, for the audit log.
store::Actor actor_of(const contract::Call& call);

// The call's deadline, and where the engine's counts and its ignored parameters go: valid as long as the
// call.
engine::CallContext context_of(const contract::Call& call);

}  // namespace hearth::api
