#include "api/pipeline.hpp"

#include <exception>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "api/authenticate.hpp"
#include "async/interruptible.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"
#include "contract/query.hpp"

namespace hearth::api {

namespace {

constexpr std::chrono::milliseconds unwatched_time{50};  // before somebody looks whether the client has left

const contract::Principal nobody;

}  // namespace

Pipeline::Pipeline(Services& services, PipelineSettings settings, Metrics& metrics,
                   const ProcessState& process, const ServedApi& api)
    : services_(services),
      settings_(std::move(settings)),
      metrics_(metrics),
      process_(process),
      api_(api),
      body_memory_(settings_.body_memory, settings_.admission_patience),
      heads_(services.clock, settings_.reply_heads),
      sender_(heads_, api.validator, services.ids, settings_.socket_time),
      file_intake_(services.objects.blobs),
      web_(services, settings_.public_url) {}

Task<void> Pipeline::handle(const net::RequestHead& head, net::BodyReader& body,
                            net::ResponseWriter& response) {
  Exchange exchange{.head = head,
                    .body = body,
                    .response = response,
                    .id = RequestId(services_.ids.make("req_")),
                    .started = services_.clock.steady_now()};
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
  exchange.received.release();
  if (refusal) {
    exchange.outcome = refusal->code().value_or(refusal->type());
    try {
      co_await sender_.send_error(exchange, *refusal);
    } catch (const net::ConnectionLost&) {
      broken = std::current_exception();
    }
  }
  if (domain::MeteredCall* metered = exchange.metered()) {
    exchange.outcome == "client_gone" ? metered->abandon() : metered->end();
  }
  const auto took = services_.clock.steady_now() - exchange.started;
  metrics_.finished(exchange.operation, exchange.status ? exchange.status : 499, took);
  log_end(exchange, took);
  if (broken) std::rethrow_exception(broken);
}

void Pipeline::log_end(const Exchange& exchange, std::chrono::nanoseconds took) const {
  const std::string_view operation = exchange.operation ? exchange.operation->name : "none";
  const std::string_view project = exchange.principal && exchange.principal->project
                                       ? std::string_view(exchange.principal->project->str())
                                       : "";
  const std::string_view key = exchange.principal ? std::string_view(exchange.principal->key.str()) : "";
  log::info("request", {{"request_id", exchange.id.str()},
                        {"method", exchange.head.method},
                        {"path", exchange.head.path()},
                        {"operation", operation},
                        {"status", exchange.status},
                        {"outcome", exchange.outcome},
                        {"ms", std::chrono::duration<double, std::milli>(took).count()},
                        {"project", project},
                        {"key", key},
                        {"client", exchange.head.remote_address}});
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
    body = metrics_.render(process_.server_statistics(), services_.models.engines.status(),
                           services_.metering.calls.tokens(), co_await process_.job_metrics());
  } else if (path == "/openapi.json") {
    type = "application/json";
    body = api_.openapi;
  }
  exchange.status = status;
  co_await exchange.response.send(heads_.make(exchange, status, type), std::move(body));
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
  if (!heads_.is_preflight(exchange.head)) co_return false;
  net::ResponseHead head = heads_.make_preflight(exchange);
  exchange.status = head.status;
  co_await exchange.response.send(std::move(head), "");
  co_return true;
}

Task<void> Pipeline::answer_operation(Exchange& exchange) {
  const contract::Route route = find_route(exchange);
  co_await identify(exchange);
  Call& call = authorize_call(exchange, route);
  if (call.operation.body_kind == contract::BodyKind::json) {
    co_await exchange.received.receive_json(call, exchange.head, exchange.body, body_memory_, api_.validator);
  }
  if (call.operation.body_kind == contract::BodyKind::multipart) {
    co_await exchange.received.receive_form(call, exchange.head, exchange.body, body_memory_, api_.validator,
                                            file_intake_);
  }
  co_await sender_.send(exchange, co_await handle_call(exchange));
}

contract::Route Pipeline::find_route(Exchange& exchange) const {
  const std::string_view path = exchange.head.path();
  contract::RouteResult routed = contract::route(api_.operations, exchange.head.method, path);
  if (std::holds_alternative<contract::RouteNotFound>(routed)) {
    throw ApiError::unknown_route(exchange.head.method, path);
  }
  if (const auto* other = std::get_if<contract::MethodNotAllowed>(&routed)) {
    exchange.allow = fmt::format("{}", fmt::join(other->allowed, ", "));
    throw ApiError::method_not_allowed(exchange.head.method, path);
  }
  auto& route = std::get<contract::Route>(routed);
  exchange.operation = route.operation;
  const bool is_served = route.operation->status == contract::OperationStatus::implemented;
  if (route.operation->socket && is_served) exchange.offer = net::SocketOffer::parse(exchange.head);
  return std::move(route);
}

Task<void> Pipeline::identify(Exchange& exchange) {
  const contract::Auth auth = exchange.operation->auth;
  if (auth == contract::Auth::none) co_return;
  // The one look at it of this request, before whatever is read of what it stands for.
  const auto epoch = services_.identity.epoch.find_current();
  exchange.access_epoch = epoch ? *epoch : co_await services_.identity.epoch.read();
  if (auth == contract::Auth::key && process_.anonymous) {
    exchange.principal = process_.anonymous;
  } else {
    const auto credentials = exchange.offer ? credentials_of(exchange.head.headers, *exchange.offer)
                                            : credentials_of(exchange.head.headers);
    exchange.principal = co_await authenticate(services_.identity.keys, credentials, exchange.access_epoch);
  }
  co_await services_.identity.client_certificates.check(*exchange.principal, exchange.head,
                                                        exchange.access_epoch);
}

Call& Pipeline::authorize_call(Exchange& exchange, const contract::Route& route) const {
  const contract::Operation& operation = *exchange.operation;
  json::object path = contract::read_path(api_.validator, route);
  if (exchange.principal) authorize(operation, *exchange.principal, path);
  if (operation.status == contract::OperationStatus::planned) throw ApiError::not_implemented(operation.name);
  contract::Call valid{
      .operation = operation,
      .principal = exchange.principal ? *exchange.principal : nobody,
      .request_id = exchange.id,
      .deadline = exchange.started + (operation.socket ? settings_.socket_time : settings_.request_time),
      .path = std::move(path),
      .query = contract::read_query(api_.validator, operation, exchange.head.query()),
      .client = {exchange.head.remote_address, exchange.head.headers.get("user-agent")}};
  return exchange.call.emplace(std::move(valid), exchange.access_epoch);
}

Task<contract::Reply> Pipeline::handle_call(Exchange& exchange) {
  if (exchange.operation->cancel == contract::Cancel::never) {
    co_return co_await api_.handle(services_, *exchange.call);
  }
  // Work that only this client wants stops when the client leaves.
  auto reply = co_await async::run_unless(api_.handle(services_, *exchange.call), exchange.response.closed(),
                                          unwatched_time);
  if (!reply) throw net::ConnectionLost("the client left before the reply");
  co_return std::move(*reply);
}

}  // namespace hearth::api
