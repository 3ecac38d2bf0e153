#include "api/reply_head.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "api/limits.hpp"

namespace hearth::api {
namespace {

constexpr std::size_t usual_headers = 16;  // of a reply, and those that its connection adds

void append_names(std::string& list, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    list.append(list.empty() ? "" : ", ").append(name);
}

}  // namespace

net::ResponseHead ReplyHeads::make(const Exchange& exchange, int status,
                                   std::string_view content_type) const {
  net::ResponseHead head;
  head.status = status;
  head.headers.reserve(usual_headers);
  if (!content_type.empty()) head.headers.add("content-type", std::string(content_type));
  head.headers.add("x-request-id", exchange.id.str());
  const auto took = clock_.steady_now() - exchange.started;
  head.headers.add("openai-processing-ms",
                   fmt::format("{}", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  head.headers.add("openai-version", settings_.version);
  if (exchange.principal) head.headers.add("openai-organization", exchange.principal->organization.str());
  const domain::MeteredCall* metered = exchange.metered();
  std::string ignored;
  if (exchange.call) append_names(ignored, exchange.call->ignored);
  if (metered) append_names(ignored, metered->context().ignored());
  if (!ignored.empty()) head.headers.add("x-hearth-ignored", std::move(ignored));
  if (metered && metered->standings()) add_limit_headers(head.headers, *metered->standings());
  add_cors(head.headers, exchange.head);
  return head;
}

void ReplyHeads::add_cors(net::Headers& headers, const net::RequestHead& request) const {
  const std::string_view origin = request.headers.get("origin");
  if (origin.empty() || settings_.cors_origins.empty()) return;
  const bool any = std::ranges::find(settings_.cors_origins, "*") != settings_.cors_origins.end();
  if (!any && std::ranges::find(settings_.cors_origins, origin) == settings_.cors_origins.end()) return;
  headers.add("access-control-allow-origin", any ? "*" : std::string(origin));
  headers.add("access-control-expose-headers",
              "x-request-id, x-hearth-ignored, openai-processing-ms, openai-version, openai-organization, "
              "retry-after, retry-after-ms, x-should-retry, x-ratelimit-limit-requests, "
              "x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, "
              "x-ratelimit-reset-requests, x-ratelimit-reset-tokens");
  if (!any) headers.add("vary", "origin");
}

bool ReplyHeads::is_preflight(const net::RequestHead& head) const {
  return !settings_.cors_origins.empty() && head.method == "OPTIONS" && head.headers.contains("origin") &&
         head.headers.contains("access-control-request-method");
}

net::ResponseHead ReplyHeads::make_preflight(const Exchange& exchange) const {
  net::ResponseHead head = make(exchange, 204, "");
  head.headers.add("access-control-allow-methods", "GET, HEAD, POST, DELETE");
  head.headers.add("access-control-allow-headers",
                   std::string(exchange.head.headers.get("access-control-request-headers")));
  head.headers.add("access-control-max-age", "600");
  return head;
}

}  // namespace hearth::api
