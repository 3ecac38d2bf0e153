// One validated request on its way through a handler.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/bytes.hpp"
#include "contract/operation.hpp"
#include "contract/principal.hpp"
#include "contract/reply.hpp"
#include "json/json.hpp"

namespace hearth::contract {

// Where a request came from; audit events keep it.
struct Client {
  std::string_view address;     // "127.0.0.1", "::1", "unix"
  std::string_view user_agent;  // as sent: bytes of any kind
};

// Built by the pipeline, lives until the reply's last byte. Thread: the session's.
struct Call {
  const Operation& operation;
  const Principal& principal;
  RequestId request_id;
  SteadyTime deadline;
  // Typed and complete: defaults of the contract are filled in.
  json::object path;
  json::object query;
  // The parsed body; null without one. The handler may take values out of it.
  json::value* body = nullptr;
  // The files of a multipart body, in the order in which they came. Those that the handler does not keep
  // are gone with this call.
  std::vector<IncomingFile> files;

  // Paths of parameters that are accepted without effect; the reply's header x-hearth-ignored names them.
  std::vector<std::string> ignored;

  Client client;

  // The project whose objects this call sees. Operations with `auth: key` only.
  const ProjectId& project() const { return *principal.project; }
  json::object& body_object() { return body->get_object(); }
  std::string_view path_string(std::string_view name) const { return *json::find_string(path, name); }
};

}  // namespace hearth::contract
