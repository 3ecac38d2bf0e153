#include "api/error_reply.hpp"

#include <chrono>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "domain/client_certificates.hpp"

namespace hearth::api {
namespace {

// What a connection showed in its handshake it cannot show anew.
bool needs_new_connection(const ApiError& error) {
  return error.code() == domain::ClientCertificates::missing ||
         error.code() == domain::ClientCertificates::untrusted;
}

}  // namespace

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

void add_error_headers(net::Headers& headers, const ApiError& error) {
  if (error.status() == 401) headers.add("www-authenticate", "Bearer");
  if (needs_new_connection(error)) headers.add("connection", "close");
  // SDKs repeat every 429 and 5xx unless told that it is in vain.
  const bool in_vain = error.status() == 501 || error.code() == "insufficient_quota";
  if (in_vain) headers.add("x-should-retry", "false");
  if (error.retry_after()) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*error.retry_after()).count();
    headers.add("retry-after", fmt::format("{}", seconds));
    headers.add("retry-after-ms", fmt::format("{}", error.retry_after()->count()));
  }
}

}  // namespace hearth::api
