// One request on its way through the pipeline, and what is known of it so far.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "api/call.hpp"
#include "api/request_body.hpp"
#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/operation.hpp"
#include "contract/principal.hpp"
#include "net/http.hpp"
#include "net/web_socket.hpp"

namespace hearth::api {

// Lives from the header to the log line. Thread: the session's.
struct Exchange {
  const net::RequestHead& head;
  net::BodyReader& body;
  net::ResponseWriter& response;
  RequestId id;
  SteadyTime started;
  const contract::Operation* operation = nullptr;
  std::optional<net::SocketOffer> offer;                 // of an operation that is a socket
  std::shared_ptr<const contract::Principal> principal;  // null: nobody
  RequestBody received;                                  // what `call` refers to
  std::uint64_t access_epoch = 0;                        // as it was when the request was authenticated
  std::optional<Call> call;                              // from its authorization on
  std::string allow;                                     // for 405
  std::string content_range;                             // for 416
  int status = 0;                                        // of the reply's header; 0 until it is sent
  std::string outcome = "ok";  // for the log: ok | error code | client_gone | failed

  // What a model is made to do for it; null: nothing so far.
  domain::MeteredCall* metered() { return call && call->metered ? &*call->metered : nullptr; }
  const domain::MeteredCall* metered() const { return call && call->metered ? &*call->metered : nullptr; }
  // The reply is about to be whole: what it used is counted first, so that who has it sees it counted.
  void end_metered() {
    if (domain::MeteredCall* made = metered()) made->end();
  }
};

}  // namespace hearth::api
