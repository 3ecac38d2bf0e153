// A request's life, in one place and one order:
//
//   request id → own endpoints (health, metrics) → CORS → route → authenticate → client certificate →
//   admission → body → validate → handler → reply or event stream → log
//
// Authentication needs the header only and comes before admission, so a stranger never holds memory for a
// body. What a handler makes a model do it does through a metered call (metering): budget and limits first,
// and what was used is counted before the last byte of the reply. Admission to validation are in
// request_body, replies and their ends in reply_sender.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/blob_intake.hpp"
#include "api/exchange.hpp"
#include "api/metrics.hpp"
#include "api/reply_head.hpp"
#include "api/reply_sender.hpp"
#include "api/request_body.hpp"
#include "api/served_api.hpp"
#include "api/services.hpp"
#include "api/web.hpp"
#include "contract/principal.hpp"
#include "contract/router.hpp"
#include "net/http.hpp"

namespace hearth::api {

struct PipelineSettings {
  ReplyHeadSettings reply_heads;
  std::size_t body_memory = 512 * 1024 * 1024;  // for the bodies of all requests that run, with their JSON
  std::chrono::milliseconds admission_patience{5'000};
  std::chrono::milliseconds request_time{600'000};   // from the header to the last byte
  std::chrono::milliseconds socket_time{3'600'000};  // the longest life of a socket
  std::string public_url;                            // as people reach the pages; empty: not configured
};

// What the pipeline needs from the process; made by app/ and complete before the first request.
struct ProcessState {
  std::atomic<bool> ready{false};
  // The principal of requests without a valid key where authentication is switched off.
  std::shared_ptr<const contract::Principal> anonymous;
  std::function<net::ServerStatistics()> server_statistics;
  std::function<Task<JobMetrics>()> job_metrics;
};

// Thread: one handle() per request, each on its session's executor.
class Pipeline final : public net::RequestHandler {
 public:
  Pipeline(Services& services, PipelineSettings settings, Metrics& metrics, const ProcessState& process,
           const ServedApi& api = own_api());

  Task<void> handle(const net::RequestHead& head, net::BodyReader& body,
                    net::ResponseWriter& response) override;

 private:
  Task<void> answer(Exchange& exchange);
  // True when the path was one of the server's own (health, metrics, description) and is answered.
  Task<bool> answer_own(Exchange& exchange);
  // True when it was one of the pages for people.
  Task<bool> answer_page(Exchange& exchange);
  Task<bool> answer_preflight(Exchange& exchange);
  Task<void> answer_operation(Exchange& exchange);
  // The operation, by method and path; of a socket also its handshake. ApiError 404, 405, 426, 400.
  contract::Route find_route(Exchange& exchange) const;
  // The principal of the request; none where the operation needs none. ApiError 401.
  Task<void> identify(Exchange& exchange);
  // The call, when whoever asks may make it. ApiError 403, 400, 501.
  Call& authorize_call(Exchange& exchange, const contract::Route& route) const;
  // The handler, as long as somebody waits for what it does.
  Task<contract::Reply> handle_call(Exchange& exchange);
  void log_end(const Exchange& exchange, std::chrono::nanoseconds took) const;

  Services& services_;
  PipelineSettings settings_;
  Metrics& metrics_;
  const ProcessState& process_;
  const ServedApi& api_;
  BodyMemory body_memory_;
  ReplyHeads heads_;
  ReplySender sender_;
  BlobIntake file_intake_;
  Web web_;
};

}  // namespace hearth::api
