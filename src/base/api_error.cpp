#include "base/api_error.hpp"

#include <fmt/format.h>

namespace hearth {
namespace {
constexpr std::string_view invalid_request_type = "invalid_request_error";
constexpr std::string_view server_type = "server_error";
}  // namespace

ApiError ApiError::invalid_request(std::string_view code, std::string message,
                                   std::optional<std::string> param) {
  auto optional_code = code.empty() ? std::nullopt : std::optional<std::string>(code);
  return {400, invalid_request_type, std::move(optional_code), std::move(message), std::move(param)};
}
ApiError ApiError::unsupported_parameter(std::string message, std::string param) {
  return invalid_request("unsupported_parameter", std::move(message), std::move(param));
}
ApiError ApiError::unsupported_value(std::string message, std::string param) {
  return invalid_request("unsupported_value", std::move(message), std::move(param));
}
ApiError ApiError::context_length_exceeded(std::string message, std::string param) {
  return invalid_request("context_length_exceeded", std::move(message), std::move(param));
}
ApiError ApiError::unauthenticated(std::string_view code, std::string message) {
  auto optional_code = code.empty() ? std::nullopt : std::optional<std::string>(code);
  return {401, invalid_request_type, std::move(optional_code), std::move(message)};
}
ApiError ApiError::permission_denied(std::string message) {
  return {403, invalid_request_type, "permission_denied", std::move(message)};
}
ApiError ApiError::not_found(std::string message, std::optional<std::string> param) {
  return {404, invalid_request_type, "not_found", std::move(message), std::move(param)};
}
ApiError ApiError::model_not_found(std::string_view model) {
  return {404, invalid_request_type, "model_not_found",
          fmt::format("The model '{}' does not exist or you do not have access to it.", model), "model"};
}
ApiError ApiError::unknown_route(std::string_view method, std::string_view path) {
  return {404, invalid_request_type, "unknown_url", fmt::format("Unknown request URL: {} {}.", method, path)};
}
ApiError ApiError::method_not_allowed(std::string_view method, std::string_view path) {
  return {405, invalid_request_type, "method_not_supported",
          fmt::format("The method {} is not allowed for {}.", method, path)};
}
ApiError ApiError::conflict(std::string message) {
  return {409, invalid_request_type, "conflict", std::move(message)};
}
ApiError ApiError::payload_too_large(std::size_t limit) {
  return {413, invalid_request_type, "request_too_large",
          fmt::format("The request body is larger than the {} bytes allowed here.", limit)};
}
ApiError ApiError::unsupported_media_type(std::string_view expected) {
  return {415, invalid_request_type, "unsupported_content_type",
          fmt::format("The request's Content-Type is not supported here; use '{}'.", expected)};
}
ApiError ApiError::rate_limited(std::string_view code, std::string message) {
  return {429, code == "insufficient_quota" ? "insufficient_quota" : "requests", std::string(code),
          std::move(message)};
}
ApiError ApiError::internal() {
  return {
      500, server_type, "internal_error",
      "The server had an error while processing your request. Quote the x-request-id when you report it."};
}
ApiError ApiError::not_implemented(std::string_view operation) {
  return {501, server_type, "not_implemented",
          fmt::format("The operation '{}' is planned and not served by this version of Hearth.", operation)};
}
ApiError ApiError::unavailable(std::string_view code, std::string message) {
  return {503, server_type, std::string(code), std::move(message)};
}
ApiError ApiError::timeout(std::string message) {
  return {504, server_type, "timeout", std::move(message)};
}

}  // namespace hearth
