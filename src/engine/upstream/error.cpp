// Errors of an upstream in the API's words.
#include <algorithm>
#include <charconv>

#include "base/log.hpp"
#include "base/text.hpp"
#include "contract/fields.hpp"
#include "engine/upstream/reply.hpp"

namespace hearth::engine::upstream {
namespace {

namespace field = contract::field;
using json::object;

// The parts of an error body that matter, whichever of the usual shapes it has.
struct ErrorBody {
  std::string message;
  std::optional<std::string> param;
  std::optional<std::string> code;
};

ErrorBody parse_error(std::string_view body) {
  ErrorBody read;
  const auto parsed = json::parse(body);
  const object* root = parsed && parsed->is_object() ? &parsed->get_object() : nullptr;
  if (!root) return read;
  const object* error = json::find_object(*root, field::error);
  const object& at = error ? *error : *root;
  for (const std::string_view name : {std::string_view(field::message), std::string_view(field::detail)}) {
    if (const auto text = json::find_string(at, name); text && read.message.empty()) read.message = *text;
  }
  if (const auto text = json::find_string(*root, field::error); text && read.message.empty())
    read.message = *text;
  if (const auto text = json::find_string(at, field::param)) read.param = *text;
  if (const auto text = json::find_string(at, field::code)) read.code = *text;
  return read;
}

std::chrono::milliseconds retry_after_of(const net::Headers& headers) {
  constexpr int fallback = 1;
  constexpr int most = 600;
  int seconds = 0;
  const auto text = headers.get("retry-after");
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::chrono::seconds(error == std::errc() ? std::clamp(seconds, fallback, most) : fallback);
}

bool speaks_of_context(const ErrorBody& error) {
  return error.code == "context_length_exceeded" ||
         error.message.find("maximum context length") != std::string::npos ||
         error.message.find("context length exceeded") != std::string::npos;
}

// A word that names a kind of error; "" for anything that might be more than that.
std::string label_of(const object& error, std::string_view name) {
  constexpr std::size_t longest = 64;
  if (const auto number = json::find_integer(error, name)) return std::to_string(*number);
  const auto word = json::find_string(error, name).value_or("");
  const bool plain = word.size() <= longest && std::ranges::all_of(word, [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
                     });
  return std::string(plain ? word : "");
}

}  // namespace

ApiError read_error(int status, const net::Headers& headers, std::string_view body, std::string_view secret) {
  constexpr std::size_t longest_message = 1000;
  ErrorBody error = parse_error(body);
  if (!secret.empty()) {
    for (auto at = error.message.find(secret); at != std::string::npos; at = error.message.find(secret, at))
      error.message.replace(at, secret.size(), "***");
  }
  error.message = text::truncate_utf8(error.message, longest_message);
  // What it says about a request may quote the request, which no log may hold.
  const bool about_request = status == 400 || status == 413 || status == 422;
  log::warn("upstream refuses",
            {{"status", status}, {"message", about_request ? "" : error.message.c_str()}});
  switch (status) {
    case 400:
    case 413:
    case 422:
      if (error.message.empty()) error.message = "The upstream of this model refused the request.";
      if (speaks_of_context(error))
        return ApiError::context_length_exceeded(std::move(error.message), error.param.value_or("messages"));
      return ApiError::invalid_request(error.code.value_or(""), std::move(error.message),
                                       std::move(error.param));
    case 429:
      return ApiError::rate_limited("rate_limit_exceeded",
                                    "The upstream of this model is at its limit; try again later.")
          .with_retry_after(retry_after_of(headers));
    default:
      return ApiError::unavailable("engine_unavailable", "The upstream of this model cannot answer.")
          .with_retry_after(std::chrono::seconds(1));
  }
}

void log_stream_error(const json::value& error) {
  static const object none;
  const object& at = error.is_object() ? error.get_object() : none;
  log::warn("upstream error in a stream", {{"status", label_of(at, field::status)},
                                           {"type", label_of(at, field::type)},
                                           {"code", label_of(at, field::code)},
                                           {"bytes", json::write(error).size()}});
}

ApiError unusable_answer() {
  return ApiError::unavailable("engine_unavailable",
                               "The upstream of this model gave an answer that cannot be used.");
}

}  // namespace hearth::engine::upstream
