// A call seen from below: whose data it works on, who is responsible.
#pragma once

#include "contract/call.hpp"
#include "store/audit_logs.hpp"
#include "store/tenant.hpp"

namespace hearth::api {

// Only for operations with `auth: key`.
store::Tenant tenant_of(const contract::Call& call);

// The actor who answers for a change, for the audit log.
store::Actor actor_of(const contract::Call& call);

// An actor of whom only the address and the user agent are known, for the audit log.
store::Actor visitor_actor(std::string_view address, std::string_view user_agent);

}  // namespace hearth::api
