// The one exception that ends a request, and its factories.
//
// Thrown anywhere below a handler; caught once, in api/pipeline, which renders
// {"error":{"message","type","param","code"}}. The message goes to the client: it names the parameter and
// never an internal cause. Internal causes are logged by whoever throws.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace hearth {

class ApiError : public std::exception {
 public:
  ApiError(int status, std::string_view type, std::optional<std::string> code, std::string message,
           std::optional<std::string> param = std::nullopt)
      : status_(status),
        type_(type),
        code_(std::move(code)),
        message_(std::move(message)),
        param_(std::move(param)) {}

  int status() const { return status_; }
  const std::string& type() const { return type_; }
  const std::optional<std::string>& code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::optional<std::string>& param() const { return param_; }
  // Rendered as the reply header `retry-after` where set.
  const std::optional<std::chrono::milliseconds>& retry_after() const { return retry_after_; }
  const char* what() const noexcept override { return message_.c_str(); }

  ApiError&& with_retry_after(std::chrono::milliseconds delay) && {
    retry_after_ = delay;
    return std::move(*this);
  }

  // 400 invalid_request_error. `code` may be empty for the errors that carry none.
  static ApiError invalid_request(std::string_view code, std::string message,
                                  std::optional<std::string> param = std::nullopt);
  // 400 unsupported_parameter: the parameter is part of the API but this model or server cannot honour it.
  static ApiError unsupported_parameter(std::string message, std::string param);
  // 400 unsupported_value: the parameter can be honoured, this value of it cannot.
  static ApiError unsupported_value(std::string message, std::string param);
  // 400 context_length_exceeded.
  static ApiError context_length_exceeded(std::string message, std::string param);
  // 401 invalid_api_key and its siblings.
  static ApiError unauthenticated(std::string_view code, std::string message);
  // 403.
  static ApiError permission_denied(std::string message);
  // 404 for an object of the caller's project that does not exist.
  static ApiError not_found(std::string message, std::optional<std::string> param = std::nullopt);
  // 404 model_not_found.
  static ApiError model_not_found(std::string_view model);
  // 404 for a route that does not exist; 405 for one that does, with another method.
  static ApiError unknown_route(std::string_view method, std::string_view path);
  static ApiError method_not_allowed(std::string_view method, std::string_view path);
  static ApiError conflict(std::string message);
  static ApiError payload_too_large(std::size_t limit);
  static ApiError unsupported_media_type(std::string_view expected);
  // 429 rate_limit_exceeded | insufficient_quota.
  static ApiError rate_limited(std::string_view code, std::string message);
  // 500: a fault of ours. The message is fixed; log the cause.
  static ApiError internal();
  // 501: an operation of the contract that this version does not serve yet.
  static ApiError not_implemented(std::string_view operation);
  // 503: overloaded, draining, or the engine that held the request died.
  static ApiError unavailable(std::string_view code, std::string message);
  // 504: an engine or upstream did not answer in time.
  static ApiError timeout(std::string message);

 private:
  int status_;
  std::string type_;
  std::optional<std::string> code_;
  std::string message_;
  std::optional<std::string> param_;
  std::optional<std::chrono::milliseconds> retry_after_;
};

}  // namespace hearth
