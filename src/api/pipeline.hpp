// A request's life, in one place and one order:
//
//   request id → own endpoints (health, metrics) → CORS → route → authenticate → client certificate →
//   admission → body → validate → budget → reserve limits → handler → reply or event stream →
//   settle limits → usage → log
//
// Authentication needs the header only and comes before admission, so a stranger never holds memory for a
// body.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/metrics.hpp"
#include "api/services.hpp"
#include "api/web.hpp"
#include "async/semaphore.hpp"
#include "base/api_error.hpp"
#include "contract/call.hpp"
#include "contract/principal.hpp"
#include "contract/reply.hpp"
#include "net/http.hpp"

namespace hearth::api {

struct PipelineSettings {
  std::vector<std::string> cors_origins;        // "*" or exact origins; empty = no CORS headers
  std::size_t body_memory = 512 * 1024 * 1024;  // for the bodies of all requests that run, with their JSON
  std::chrono::milliseconds admission_patience{5'000};
  std::chrono::milliseconds request_time{600'000};  // from the header to the last byte
  bool counts_usage = true;                         // and holds projects to their budgets
  std::string version_header = "2020-10-01";
  std::string public_url;  // as people reach the pages; empty: not configured
};

// What the pipeline needs from the process; made by app/ and complete before the first request.
struct ProcessState {
  std::atomic<bool> ready{false};
  // Who acts for requests without a valid key where authentication is switched off.
  std::shared_ptr<const contract::Principal> anonymous;
  std::function<net::ServerStatistics()> server_statistics;
};

// Thread: one handle() per request, each on its session's executor.
class Pipeline final : public net::RequestHandler {
 public:
  Pipeline(Services& services, PipelineSettings settings, Metrics& metrics, const ProcessState& process)
      : services_(services),
        settings_(std::move(settings)),
        metrics_(metrics),
        process_(process),
        body_memory_(settings_.body_memory),
        web_(services, settings_.public_url) {}

  Task<void> handle(const net::RequestHead& head, net::BodyReader& body,
                    net::ResponseWriter& response) override;

 private:
  struct Exchange;

  Task<void> answer(Exchange& exchange);
  // True when the path was one of the server's own (health, metrics, description) and is answered.
  Task<bool> answer_own(Exchange& exchange);
  // True when it was one of the pages for people.
  Task<bool> answer_page(Exchange& exchange);
  Task<bool> answer_preflight(Exchange& exchange);
  Task<void> answer_operation(Exchange& exchange);
  Task<async::Semaphore::Permit> admit(const Exchange& exchange);
  // Memory for that many bytes of body and what becomes of them; ApiError 503 when it cannot be had in time.
  Task<async::Semaphore::Permit> reserve(const contract::Operation& operation, std::size_t bytes);
  // ApiError 429 where the project's budget is spent.
  Task<void> check_budget(const contract::Call& call);
  // What the request used, to the limits, the metrics and the usage: once, before the last byte of a reply,
  // so that who has it sees it counted, or when the request has ended in another way.
  void account(Exchange& exchange);
  void record_usage(const Exchange& exchange);
  Task<std::string> read_body(Exchange& exchange, async::Semaphore::Permit& memory);
  Task<void> send_reply(Exchange& exchange, contract::Reply reply);
  Task<void> send_events(Exchange& exchange, net::ResponseHead head, contract::EventProducer producer);
  Task<void> send_error(Exchange& exchange, const ApiError& error);
  net::ResponseHead reply_head(const Exchange& exchange, int status, std::string_view content_type) const;

  Services& services_;
  PipelineSettings settings_;
  Metrics& metrics_;
  const ProcessState& process_;
  async::Semaphore body_memory_;
  Web web_;
};

}  // namespace hearth::api
