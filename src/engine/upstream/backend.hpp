// Models that another server computes: anything that speaks the OpenAI API.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "engine/backend.hpp"
#include "engine/catalogue/model.hpp"
#include "engine/upstream/spec.hpp"

namespace hearth::engine {

// When a replica counts as down and when it is asked again.
struct CircuitPolicy {
  unsigned failures_to_open = 5;               // in a row
  std::chrono::milliseconds open_time{1'000};  // doubled each time it stays down, up to the most
  std::chrono::milliseconds open_time_most{30'000};
  std::chrono::milliseconds probe_time{2'000};  // for GET /models, which must answer before it is used again
  // A replica that has not answered for so long, or for a third of the time that is left, is asked whether it
  // lives.
  std::chrono::milliseconds patience{60'000};
};

// Sends each call to the replica with the fewest calls under way.
//
// A call is repeated on another replica, each at most once, as long as no byte of the answer's body was used:
// when the connection failed or broke off, or the answer was 429, 5xx or rubbish (for a stream: up to its
// first chunk). It is not repeated when the time is up (504) or the upstream refused the request itself (400:
// passed on). A refused key is our fault, not the caller's: 503 and a log line.
//
// A long silence alone is no fault: a plain reply may take minutes to its first byte. But while another
// replica could take over, a silent one is asked GET /models after each `patience`; when that fails twice in
// a row it hangs, counts as failed, and the call goes to the next. So an upstream with several replicas must
// answer GET /models (with any status below 500) while it works.
//
// What an upstream ignores is named in CallContext::ignored(): `service_tier` (never sent), and `logprobs`
// when the reply, or the first chunk with text, has none. Vectors longer than `dimensions` are shortened.
//
// Replies are reduced to what the contract knows and completed where members are missing. Usage is what the
// upstream reports; when it reports none, a stream counts its pieces (each is at least one token), a plain
// reply says zero, and the log says so once.
//
// Called by the spec. Thread: any; the backend is used from every executor of the runtime. Throws
// std::runtime_error when a base URL cannot be understood.
std::unique_ptr<Backend> make_upstream_backend(const Model& model, const UpstreamSpec& spec,
                                               CircuitPolicy policy = {});

}  // namespace hearth::engine
