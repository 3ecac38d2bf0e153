// Authentication: from the request's headers to a Principal that may use the operation.
#pragma once

#include <memory>

#include "contract/operation.hpp"
#include "contract/principal.hpp"
#include "json/json.hpp"
#include "net/http.hpp"
#include "net/web_socket.hpp"
#include "store/keys.hpp"

namespace hearth::api {

// What a request shows of who asks. Views into the request.
struct Credentials {
  std::string_view key;
  std::string_view organization;  // as the client names it; empty where it names none
  std::string_view project;
};

Credentials credentials_of(const net::Headers& headers);
// A browser cannot set headers for a socket. It offers credentials as subprotocols beside the real one:
// openai-insecure-api-key.KEY, openai-organization.ID, openai-project.ID. Headers come before them.
Credentials credentials_of(const net::Headers& headers, const net::SocketOffer& offer);

// Throws ApiError 401: no key, unknown key, a key of another organization or project than the request names.
// `epoch`: the access epoch.
Task<std::shared_ptr<const contract::Principal>> authenticate(store::Keys& keys, Credentials credentials,
                                                              std::uint64_t epoch);

// Throws ApiError 403: a key of the wrong kind for the operation (missing_scope), or an owner whose role does
// not allow it (insufficient_permissions). `path` is the operation's, typed.
void authorize(const contract::Operation& operation, const contract::Principal& principal,
               const json::object& path);

// The first and last characters of a key, enough to tell keys apart.
std::string redact_key(std::string_view secret);

}  // namespace hearth::api
