#include "api/pipeline.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "api/authenticate.hpp"
#include "api/limits.hpp"
#include "api/requester.hpp"
#include "api/response_sink.hpp"
#include "api/usage_event.hpp"
#include "async/interruptible.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "contract/gate.hpp"
#include "contract/handlers.hpp"
#include "contract/openapi.hpp"
#include "contract/query.hpp"
#include "contract/router.hpp"
#include "contract/validator.hpp"

namespace hearth::api {

namespace {

constexpr std::string_view json_type = "application/json";
constexpr std::size_t unannounced_step = 64 * 1024;  // of a chunked body, at first
constexpr std::size_t usual_headers = 16;            // of a reply, and those that its connection adds
constexpr std::size_t read_step = 16 * 1024;
constexpr std::chrono::milliseconds unwatched_time{50};  // before somebody looks whether the client has left

json::value render_error(const ApiError& error) {
  const auto or_null = [](const std::optional<std::string>& text) {
    return text ? json::value(*text) : json::value(nullptr);
  };
  return {{"error",
           {{"message", error.message()},
            {"type", error.type()},
            {"param", or_null(error.param())},
            {"code", or_null(error.code())}}}};
}

// What a connection showed in its handshake it cannot show anew.
bool needs_new_connection(const ApiError& error) {
  return error.code() == domain::ClientCertificates::missing ||
         error.code() == domain::ClientCertificates::untrusted;
}

const contract::Principal nobody;

bool is_json(std::string_view content_type) {
  std::string_view media = content_type.substr(0, content_type.find(';'));
  while (media.ends_with(' '))
    media.remove_suffix(1);
  return media.empty() || text::equals_ignore_case(media, json_type);
}

}  // namespace

// One request and what is known of it so far.
struct Pipeline::Exchange {
  const net::RequestHead& head;
  net::BodyReader& body;
  net::ResponseWriter& response;
  RequestId id;
  SteadyTime started;
  const contract::Operation* operation = nullptr;
  std::shared_ptr<const contract::Principal> principal;  // null: nobody
  std::vector<std::string> ignored;  // members of the body that are accepted without effect
  contract::Used used;
  bool accounted = false;  // see account()
  RequestLimits limits;
  std::string allow;           // for 405
  int status = 0;              // of the reply's header; 0 until it is sent
  std::string outcome = "ok";  // for the log: ok | error code | client_gone | failed
};

Task<void> Pipeline::handle(const net::RequestHead& head, net::BodyReader& body,
                            net::ResponseWriter& response) {
  Exchange exchange{head, body, response, RequestId(services_.ids.make("req_")),
                    services_.clock.steady_now()};
  std::optional<ApiError> refusal;
  std::exception_ptr broken;
  try {
    co_await answer(exchange);
  } catch (const ApiError& error) {
    refusal = error;
  } catch (const net::ConnectionLost&) {
    exchange.outcome = "client_gone";
    broken = std::current_exception();
  } catch (const boost::system::system_error& error) {
    // Cancellation: the server is shutting down and the drain deadline has passed.
    exchange.outcome = error.code() == boost::asio::error::operation_aborted ? "cancelled" : "failed";
    broken = std::current_exception();
  } catch (const std::exception& error) {
    log::error("request failed", {{"request_id", exchange.id.str()}, {"cause", error.what()}});
    refusal = ApiError::internal();
  }
  if (refusal) {
    exchange.outcome = refusal->code().value_or(refusal->type());
    try {
      co_await send_error(exchange, *refusal);
    } catch (const net::ConnectionLost&) {
      broken = std::current_exception();
    }
  }
  account(exchange);
  const auto took = services_.clock.steady_now() - exchange.started;
  metrics_.finished(exchange.operation, exchange.status ? exchange.status : 499, took);
  const std::string_view operation = exchange.operation ? exchange.operation->name : "none";
  const std::string_view project = exchange.principal && exchange.principal->project
                                       ? std::string_view(exchange.principal->project->str())
                                       : "";
  const std::string_view key = exchange.principal ? std::string_view(exchange.principal->key.str()) : "";
  log::info("request", {{"request_id", exchange.id.str()},
                        {"method", head.method},
                        {"path", head.path()},
                        {"operation", operation},
                        {"status", exchange.status},
                        {"outcome", exchange.outcome},
                        {"ms", std::chrono::duration<double, std::milli>(took).count()},
                        {"project", project},
                        {"key", key},
                        {"client", head.remote_address}});
  if (broken) std::rethrow_exception(broken);
}

Task<void> Pipeline::answer(Exchange& exchange) {
  if (co_await answer_own(exchange)) co_return;
  if (co_await answer_page(exchange)) co_return;
  if (co_await answer_preflight(exchange)) co_return;
  co_await answer_operation(exchange);
}

Task<bool> Pipeline::answer_own(Exchange& exchange) {
  const std::string_view path = exchange.head.path();
  const bool known = path == "/healthz" || path == "/readyz" || path == "/metrics" || path == "/openapi.json";
  if (!known) co_return false;
  if (exchange.head.method != "GET" && exchange.head.method != "HEAD") {
    exchange.allow = "GET, HEAD";
    throw ApiError::method_not_allowed(exchange.head.method, path);
  }
  int status = 200;
  std::string_view type = "text/plain; charset=utf-8";
  std::string body = "ok\n";
  if (path == "/readyz" && !process_.ready.load()) {
    status = 503;
    body = "the default model has not produced a token yet\n";
  } else if (path == "/metrics") {
    type = "text/plain; version=0.0.4; charset=utf-8";
    body = metrics_.render(process_.server_statistics(), services_.engines.status());
  } else if (path == "/openapi.json") {
    type = json_type;
    body = contract::openapi_json();
  }
  exchange.status = status;
  co_await exchange.response.send(reply_head(exchange, status, type), std::move(body));
  co_return true;
}

Task<bool> Pipeline::answer_page(Exchange& exchange) {
  if (!Web::serves(exchange.head.path())) co_return false;
  WebReply page = co_await web_.answer(exchange.head, exchange.body);
  // Pages are for this origin alone: none of the API's headers, of which some open it to others.
  net::ResponseHead head{.status = page.status, .headers = std::move(page.headers)};
  if (!page.html.empty()) head.headers.add("content-type", "text/html; charset=utf-8");
  head.headers.add("x-request-id", exchange.id.str());
  exchange.status = page.status;
  co_await exchange.response.send(std::move(head), std::move(page.html));
  co_return true;
}

Task<bool> Pipeline::answer_preflight(Exchange& exchange) {
  const bool preflight = exchange.head.method == "OPTIONS" && exchange.head.headers.contains("origin") &&
                         exchange.head.headers.contains("access-control-request-method");
  if (!preflight || settings_.cors_origins.empty()) co_return false;
  net::ResponseHead head = reply_head(exchange, 204, "");
  head.headers.add("access-control-allow-methods", "GET, HEAD, POST, DELETE");
  head.headers.add("access-control-allow-headers",
                   std::string(exchange.head.headers.get("access-control-request-headers")));
  head.headers.add("access-control-max-age", "600");
  exchange.status = 204;
  co_await exchange.response.send(std::move(head), "");
  co_return true;
}

Task<void> Pipeline::answer_operation(Exchange& exchange) {
  const std::string_view path = exchange.head.path();
  contract::RouteResult routed = contract::route(exchange.head.method, path);
  if (std::holds_alternative<contract::RouteNotFound>(routed)) {
    throw ApiError::unknown_route(exchange.head.method, path);
  }
  if (const auto* other = std::get_if<contract::MethodNotAllowed>(&routed)) {
    exchange.allow = fmt::format("{}", fmt::join(other->allowed, ", "));
    throw ApiError::method_not_allowed(exchange.head.method, path);
  }
  const auto& route = std::get<contract::Route>(routed);
  const contract::Operation& operation = *route.operation;
  exchange.operation = &operation;

  if (operation.auth == contract::Auth::key && process_.anonymous) {
    exchange.principal = process_.anonymous;
  } else if (operation.auth != contract::Auth::none) {
    exchange.principal = co_await authenticate(services_.keys, exchange.head.headers);
  }
  if (exchange.principal) co_await services_.client_certificates.check(*exchange.principal, exchange.head);
  json::object path_values = contract::read_path(route);
  if (exchange.principal) authorize(operation, *exchange.principal, path_values);
  if (operation.status == contract::OperationStatus::planned) throw ApiError::not_implemented(operation.name);

  contract::Call call{.operation = operation,
                      .principal = exchange.principal ? *exchange.principal : nobody,
                      .request_id = exchange.id,
                      .deadline = exchange.started + settings_.request_time,
                      .path = std::move(path_values),
                      .query = contract::read_query(operation, exchange.head.query()),
                      .ignored = &exchange.ignored,
                      .used = &exchange.used,
                      .client = {exchange.head.remote_address, exchange.head.headers.get("user-agent")}};

  std::optional<async::Semaphore::Permit> memory;
  std::string text;
  std::optional<json::Document> document;
  if (operation.body_kind == contract::BodyKind::json) {
    if (!is_json(exchange.head.headers.get("content-type")))
      throw ApiError::unsupported_media_type(json_type);
    memory = co_await admit(exchange);
    text = co_await read_body(exchange, *memory);
    auto parsed = json::Document::parse(text);
    if (!parsed) {
      throw ApiError::invalid_request("invalid_json",
                                      "The request body is not valid JSON. " + parsed.error().message);
    }
    document = std::move(*parsed);
    memory->shrink_to(text.size() * operation.memory_factor);
    text = {};
    if (auto violation = contract::validate(operation.body, document->root(), contract::Strictness::request,
                                            &exchange.ignored)) {
      throw contract::to_error(std::move(*violation));
    }
    call.body = &document->root();
  }

  if (operation.limited != contract::Limited::none) co_await check_budget(call);
  co_await exchange.limits.reserve(services_, call);
  const Handler handler = find_handler(operation.id);
  if (operation.method == "GET") {
    co_await send_reply(exchange, co_await handler(services_, call));
    co_return;
  }
  // Work that only this client wants stops when the client leaves.
  auto reply =
      co_await async::run_unless(handler(services_, call), exchange.response.closed(), unwatched_time);
  if (!reply) throw net::ConnectionLost("the client left before the reply");
  co_await send_reply(exchange, std::move(*reply));
}

Task<void> Pipeline::check_budget(const contract::Call& call) {
  if (settings_.counts_usage) co_await services_.spend_limits.check(call.principal);
}

void Pipeline::account(Exchange& exchange) {
  if (exchange.accounted) return;
  exchange.accounted = true;
  exchange.limits.settle(exchange.used);
  metrics_.used(exchange.used);
  record_usage(exchange);
}

void Pipeline::record_usage(const Exchange& exchange) {
  if (!settings_.counts_usage || !exchange.operation || !exchange.principal) return;
  const Ending ending{.client_left = exchange.outcome == "client_gone",
                      .prompt_tokens = exchange.limits.prompt_estimate()};
  auto event = usage_event(*exchange.operation, *exchange.principal, exchange.used, ending, services_.costs);
  if (event) services_.usage_recorder.record(std::move(*event));
}

Task<async::Semaphore::Permit> Pipeline::admit(const Exchange& exchange) {
  const std::size_t limit = exchange.operation->body_limit;
  const std::size_t announced = exchange.head.content_length.value_or(std::min(limit, unannounced_step));
  if (announced > limit) throw ApiError::payload_too_large(limit);
  co_return co_await reserve(*exchange.operation, announced);
}

Task<async::Semaphore::Permit> Pipeline::reserve(const contract::Operation& operation, std::size_t bytes) {
  const std::size_t cost = std::min(settings_.body_memory, bytes * (operation.memory_factor + 1));
  auto permit = co_await body_memory_.acquire(cost, settings_.admission_patience);
  if (!permit) {
    throw ApiError::unavailable("overloaded",
                                "The server holds too many large requests at the moment; try again.")
        .with_retry_after(std::chrono::seconds(1));
  }
  co_return std::move(*permit);
}

Task<std::string> Pipeline::read_body(Exchange& exchange, async::Semaphore::Permit& memory) {
  const contract::Operation& operation = *exchange.operation;
  if (exchange.head.content_length) co_return co_await exchange.body.read_all(operation.body_limit);
  // A chunked body takes memory as it comes, so that a slow sender does not hold what it may never use.
  std::string text;
  std::size_t reserved = std::min(operation.body_limit, unannounced_step);
  while (true) {
    if (text.size() >= operation.body_limit + 1) throw ApiError::payload_too_large(operation.body_limit);
    if (text.size() == reserved) {
      const std::size_t step = std::min(reserved, operation.body_limit + 1 - reserved);
      memory.absorb(co_await reserve(operation, step));
      reserved += step;
    }
    const std::size_t used = text.size();
    text.resize(std::min(reserved, used + read_step));
    const std::size_t got = co_await exchange.body.read_some(std::span(text).subspan(used));
    text.resize(used + got);
    if (got == 0) co_return text;
  }
}

net::ResponseHead Pipeline::reply_head(const Exchange& exchange, int status,
                                       std::string_view content_type) const {
  net::ResponseHead head;
  head.status = status;
  head.headers.reserve(usual_headers);
  if (!content_type.empty()) head.headers.add("content-type", std::string(content_type));
  head.headers.add("x-request-id", exchange.id.str());
  const auto took = services_.clock.steady_now() - exchange.started;
  head.headers.add("openai-processing-ms",
                   fmt::format("{}", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  head.headers.add("openai-version", settings_.version_header);
  if (exchange.principal) head.headers.add("openai-organization", exchange.principal->organization.str());
  if (!exchange.ignored.empty()) {
    head.headers.add("x-hearth-ignored", fmt::format("{}", fmt::join(exchange.ignored, ", ")));
  }
  exchange.limits.add_headers(head.headers);
  const std::string_view origin = exchange.head.headers.get("origin");
  if (!origin.empty() && !settings_.cors_origins.empty()) {
    const bool any = std::ranges::find(settings_.cors_origins, "*") != settings_.cors_origins.end();
    if (any || std::ranges::find(settings_.cors_origins, origin) != settings_.cors_origins.end()) {
      head.headers.add("access-control-allow-origin", any ? "*" : std::string(origin));
      head.headers.add(
          "access-control-expose-headers",
          "x-request-id, x-hearth-ignored, openai-processing-ms, openai-version, openai-organization, "
          "retry-after, retry-after-ms, x-should-retry, x-ratelimit-limit-requests, "
          "x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, "
          "x-ratelimit-reset-requests, x-ratelimit-reset-tokens");
      if (!any) head.headers.add("vary", "origin");
    }
  }
  return head;
}

Task<void> Pipeline::send_reply(Exchange& exchange, contract::Reply reply) {
  if (auto* producer = std::get_if<contract::EventProducer>(&reply.body)) {
    net::ResponseHead head = reply_head(exchange, reply.status, "text/event-stream; charset=utf-8");
    head.headers.add("cache-control", "no-cache");
    for (auto& [name, value] : reply.headers)
      head.headers.add(std::move(name), std::move(value));
    co_await send_events(exchange, std::move(head), std::move(*producer));
    co_return;
  }
  exchange.limits.settle(exchange.used);  // before the client knows: its next request finds the room
  std::string body;
  std::string_view type = json_type;
  if (const auto* document = std::get_if<json::value>(&reply.body)) {
    contract::gate::check_reply(*exchange.operation, reply.status, *document);
    json::write_to(body, *document);
  } else {
    auto& bytes = std::get<contract::BytesBody>(reply.body);
    contract::gate::check_bytes_reply(*exchange.operation, reply.status);
    type = bytes.content_type;
    body = std::move(bytes.bytes);
  }
  net::ResponseHead head = reply_head(exchange, reply.status, type);
  for (auto& [name, value] : reply.headers)
    head.headers.add(std::move(name), std::move(value));
  exchange.status = reply.status;
  account(exchange);
  co_await exchange.response.send(std::move(head), std::move(body));
}

namespace {

// The interruption of a stream: the client has left, or takes nothing any more.
Task<void> deliver(ResponseSink& sink, net::ResponseWriter& response) {
  co_await async::run_unless(sink.pump(), response.closed(), unwatched_time);
}

// The producer, then whatever is being written at its end, however it ended: a write must not be cut.
Task<void> produce(contract::EventProducer& producer, ResponseSink& sink) {
  std::exception_ptr thrown;
  try {
    co_await producer(sink);
  } catch (...) {
    thrown = std::current_exception();
  }
  co_await sink.settle();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

Task<void> Pipeline::send_events(Exchange& exchange, net::ResponseHead head,
                                 contract::EventProducer producer) {
  exchange.status = head.status;
  co_await exchange.response.begin(std::move(head));
  ResponseSink sink(*exchange.operation, exchange.response, co_await boost::asio::this_coro::executor);
  std::optional<ApiError> failure;
  try {
    const auto produced =
        co_await async::run_unless(produce(producer, sink), deliver(sink, exchange.response));
    if (!produced) throw net::ConnectionLost("the client left during the stream");
  } catch (const ApiError& error) {
    failure = error;
  } catch (const net::ConnectionLost&) {
    throw;
  } catch (const std::exception& error) {
    log::error("stream failed", {{"request_id", exchange.id.str()}, {"cause", error.what()}});
    failure = ApiError::internal();
  }
  if (failure) {
    // The status is long sent: the error goes into the stream, and no [DONE] follows it.
    exchange.outcome = failure->code().value_or(failure->type());
    const json::value body = render_error(*failure);
    contract::gate::check_error(exchange.operation, failure->status(), body);
    sink.append("", json::write(body));
  } else if (exchange.operation->stream_end == contract::StreamEnd::done) {
    sink.append("", "[DONE]");
  }
  exchange.limits.settle(exchange.used);
  account(exchange);
  co_await exchange.response.end(sink.take_rest());
}

Task<void> Pipeline::send_error(Exchange& exchange, const ApiError& error) {
  if (exchange.response.begun()) throw net::ConnectionLost("the reply was cut off");
  exchange.limits.settle(exchange.used);
  const json::value body = render_error(error);
  contract::gate::check_error(exchange.operation, error.status(), body);
  net::ResponseHead head = reply_head(exchange, error.status(), json_type);
  if (!exchange.allow.empty()) head.headers.add("allow", exchange.allow);
  if (error.status() == 401) head.headers.add("www-authenticate", "Bearer");
  if (needs_new_connection(error)) head.headers.add("connection", "close");
  // SDKs repeat every 429 and 5xx unless told that it is in vain.
  const bool in_vain = error.status() == 501 || error.code() == "insufficient_quota";
  if (in_vain) head.headers.add("x-should-retry", "false");
  if (error.retry_after()) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*error.retry_after()).count();
    head.headers.add("retry-after", fmt::format("{}", seconds));
    head.headers.add("retry-after-ms", fmt::format("{}", error.retry_after()->count()));
  }
  exchange.status = error.status();
  co_await exchange.response.send(std::move(head), json::write(body));
}

}  // namespace hearth::api
