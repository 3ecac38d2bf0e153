// How a request's limits stand, in the header of its reply.
#pragma once

#include "domain/limits/ledger.hpp"
#include "net/http.hpp"

namespace hearth::api {

// The original's x-ratelimit-*; nothing for what has no limit.
void add_limit_headers(net::Headers& headers, const domain::Standings& standings);

}  // namespace hearth::api
