#include "api/request_body.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "base/api_error.hpp"
#include "base/text.hpp"
#include "contract/violation.hpp"

namespace hearth::api {
namespace {

constexpr std::string_view json_type = "application/json";
constexpr std::size_t unannounced_step = 64 * 1024;  // of a chunked body, at first
constexpr std::size_t read_step = 16 * 1024;

bool is_json(std::string_view content_type) {
  std::string_view media = content_type.substr(0, content_type.find(';'));
  while (media.ends_with(' '))
    media.remove_suffix(1);
  return media.empty() || text::equals_ignore_case(media, json_type);
}

// Bytes that a body says it has, or those of its first step.
std::size_t announced_size(const contract::Operation& operation, const net::RequestHead& head) {
  const std::size_t limit = operation.body_limit;
  const std::size_t announced = head.content_length.value_or(std::min(limit, unannounced_step));
  if (announced > limit) throw ApiError::payload_too_large(limit);
  return announced;
}

Task<std::string> read_text(const contract::Operation& operation, const net::RequestHead& head,
                            net::BodyReader& reader, BodyMemory& memory, async::Semaphore::Permit& permit) {
  if (head.content_length) co_return co_await reader.read_all(operation.body_limit);
  // A chunked body takes memory as it comes, so that a slow sender does not hold what it may never use.
  std::string text;
  std::size_t reserved = std::min(operation.body_limit, unannounced_step);
  while (true) {
    if (text.size() >= operation.body_limit + 1) throw ApiError::payload_too_large(operation.body_limit);
    if (text.size() == reserved) {
      const std::size_t step = std::min(reserved, operation.body_limit + 1 - reserved);
      permit.absorb(co_await memory.reserve(operation, step));
      reserved += step;
    }
    const std::size_t used = text.size();
    text.resize(std::min(reserved, used + read_step));
    const std::size_t got = co_await reader.read_some(std::span(text).subspan(used));
    text.resize(used + got);
    if (got == 0) co_return text;
  }
}

}  // namespace

Task<async::Semaphore::Permit> BodyMemory::reserve(const contract::Operation& operation, std::size_t bytes) {
  return reserve_exactly(bytes * (operation.memory_factor + 1));
}

Task<async::Semaphore::Permit> BodyMemory::reserve_exactly(std::size_t bytes) {
  auto permit = co_await semaphore_.acquire(std::min(bytes_, bytes), patience_);
  if (!permit) {
    throw ApiError::unavailable("overloaded",
                                "The server holds too many large requests at the moment; try again.")
        .with_retry_after(std::chrono::seconds(1));
  }
  co_return std::move(*permit);
}

Task<void> RequestBody::receive_json(contract::Call& call, const net::RequestHead& head,
                                     net::BodyReader& reader, BodyMemory& memory,
                                     const contract::Validator& validator) {
  const contract::Operation& operation = call.operation;
  if (!is_json(head.headers.get("content-type"))) throw ApiError::unsupported_media_type(json_type);
  permit_ = co_await memory.reserve(operation, announced_size(operation, head));
  const std::string text = co_await read_text(operation, head, reader, memory, *permit_);
  auto parsed = json::Document::parse(text);
  if (!parsed) {
    throw ApiError::invalid_request("invalid_json",
                                    "The request body is not valid JSON. " + parsed.error().message);
  }
  document_ = std::move(*parsed);
  permit_->shrink_to(text.size() * operation.memory_factor);
  if (auto violation = validator.validate(operation.body, document_->root(), contract::Strictness::request,
                                          &call.ignored)) {
    throw contract::to_error(std::move(*violation));
  }
  call.body = &document_->root();
}

void RequestBody::release() {
  document_.reset();
  form_.reset();
  permit_.reset();
}

}  // namespace hearth::api
