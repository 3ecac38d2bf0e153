// Who is asking: from the request's headers to a Principal that may use the operation.
#pragma once

#include "contract/operation.hpp"
#include "contract/principal.hpp"
#include "net/http.hpp"
#include "store/keys.hpp"

namespace hearth::api {

// Throws ApiError 401 (no key, unknown key, a key of another organization or project than the headers name)
// and 403 (a key of the wrong kind for the operation).
Task<contract::Principal> authenticate(store::Keys& keys, const contract::Operation& operation,
                                       const net::Headers& headers);

// The first and last characters of a key, enough to tell one's keys apart.
std::string redact_key(std::string_view secret);

}  // namespace hearth::api
