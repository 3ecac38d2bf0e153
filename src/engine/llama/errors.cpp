#include "engine/llama/errors.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "base/log.hpp"
#include "contract/fields.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;

std::string_view prompt_param(Asked asked) {
  switch (asked) {
    case Asked::chat:
      return field::messages;
    case Asked::embedding:
      return field::input;
    case Asked::completion:
    case Asked::infill:
    case Asked::internal:
      return field::prompt;
  }
  return field::prompt;
}

bool contains(std::string_view text, std::string_view part) {
  return std::ranges::search(text, part, [](char left, char right) {
           const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
           return lower(left) == lower(right);
         }).begin() != text.end();
}

ApiError too_long(const json::object& error, Asked asked) {
  const auto tokens = json::find_integer(error, "n_prompt_tokens");
  const auto context = json::find_integer(error, "n_ctx");
  const std::string_view param = prompt_param(asked);
  if (!tokens || !context) {
    return ApiError::context_length_exceeded(
        fmt::format("'{}' is longer than this model's context. Please shorten it.", param),
        std::string(param));
  }
  return ApiError::context_length_exceeded(fmt::format("This model's maximum context length is {} tokens. "
                                                       "However, '{}' came to {} tokens. Please shorten it.",
                                                       *context, param, *tokens),
                                           std::string(param));
}

// The part of a message behind `mark`, which is what a client can act on.
std::string behind(std::string_view message, std::string_view mark) {
  const auto at = message.find(mark);
  return std::string(at == std::string_view::npos ? message : message.substr(at));
}

ApiError from_message(int status, std::string_view type, const json::object& error, Asked asked) {
  const std::string_view message = json::find_string(error, field::message).value_or("");
  if (type == "exceed_context_size_error" || contains(message, "too large to process"))
    return too_long(error, asked);
  if (contains(message, "JSON schema") || contains(message, "failed to parse grammar")) {
    return ApiError::invalid_request(
        "invalid_value",
        fmt::format("This JSON schema cannot be enforced. {}", behind(message, "JSON schema error")),
        asked == Asked::chat ? std::optional<std::string>(field::response_format) : std::nullopt);
  }
  if (contains(message, "invalid tokens")) {
    return ApiError::invalid_request("invalid_value",
                                     "The prompt holds tokens that this model does not have.",
                                     std::string(prompt_param(asked)));
  }
  if (contains(message, "failed to load image") || contains(message, "bitmap") ||
      contains(message, "Invalid base64")) {
    return ApiError::invalid_request("invalid_image", "An image could not be read.",
                                     std::string(prompt_param(asked)));
  }
  if (type == "not_supported_error") {
    if (asked == Asked::infill) {
      return ApiError::unsupported_parameter("This model cannot fill a gap before a 'suffix'.",
                                             std::string(field::suffix));
    }
    return ApiError::unsupported_value("The model does not support this operation.",
                                       std::string(field::model));
  }
  // A chat template can refuse a conversation, for example when roles do not alternate.
  const bool template_refused =
      contains(message, "Jinja") || contains(message, "template") || contains(message, "roles");
  if (asked == Asked::chat && (status == 400 || template_refused)) {
    return ApiError::invalid_request("invalid_value",
                                     fmt::format("The model cannot take this conversation: {}", message),
                                     std::string(field::messages));
  }
  if (status == 400)
    return ApiError::invalid_request("invalid_value",
                                     fmt::format("The model refused the request: {}", message));
  if (status == 503 || type == "unavailable_error") {
    return ApiError::unavailable("engine_unavailable", "The model is still loading. Please try again.");
  }
  log::error("engine error", {{"status", std::to_string(status)}, {"cause", std::string(message)}});
  return ApiError::internal();
}

}  // namespace

ApiError error_from_event(const json::object& error, Asked asked) {
  const int status = static_cast<int>(json::find_integer(error, field::code).value_or(500));
  return from_message(status, json::find_string(error, field::type).value_or(""), error, asked);
}

ApiError error_from_reply(int status, std::string_view body, Asked asked) {
  if (auto parsed = json::parse(body); parsed && parsed->is_object()) {
    if (const json::object* error = json::find_object(parsed->get_object(), field::error)) {
      return from_message(status, json::find_string(*error, field::type).value_or(""), *error, asked);
    }
  }
  log::error("engine error",
             {{"status", std::to_string(status)}, {"cause", std::string(body.substr(0, 200))}});
  return status == 503
             ? ApiError::unavailable("engine_unavailable", "The model is not ready. Please try again.")
             : ApiError::internal();
}

ApiError engine_lost() {
  return ApiError::unavailable(
      "engine_unavailable", "The model's engine stopped while it worked on this request. Please try again.");
}

}  // namespace hearth::engine::llama
