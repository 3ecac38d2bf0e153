#include "engine/llama/logprobs.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "contract/fields.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;

// The API's word for "very unlikely"; the server sends the lowest float.
double clamp_logprob(const json::object& entry) {
  return std::max(json::find_number(entry, field::logprob).value_or(-9999.0), -9999.0);
}

std::string read_bytes(const json::object& entry) {
  std::string out;
  if (const json::array* bytes = json::find_array(entry, field::bytes)) {
    for (const json::value& byte : *bytes)
      out.push_back(static_cast<char>(json::as_integer(byte).value_or(0)));
  }
  return out;
}

json::array render_bytes(std::string_view bytes) {
  json::array out;
  out.reserve(bytes.size());
  for (const char byte : bytes)
    out.emplace_back(static_cast<std::int64_t>(static_cast<unsigned char>(byte)));
  return out;
}

// A token that is only part of a character has no text; its bytes are spelled out as the original does.
std::string spell(std::string_view bytes, std::string_view prefix) {
  if (text::is_valid_utf8(bytes)) return std::string(bytes);
  std::string out(prefix);
  for (const char byte : bytes)
    out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  return out;
}

json::object render_chat_token(std::string_view bytes, double logprob) {
  json::object out;
  out[field::token] = spell(bytes, "");
  out[field::logprob] = logprob;
  out[field::bytes] = render_bytes(bytes);
  return out;
}

}  // namespace

json::object render_chat_logprobs(const json::array* probabilities, std::int64_t top) {
  json::array content;
  if (probabilities) {
    for (const json::value& item : *probabilities) {
      if (!item.is_object()) continue;
      const json::object& entry = item.get_object();
      const std::string bytes = read_bytes(entry);
      if (bytes.empty()) continue;
      json::array alternatives;
      if (const json::array* list = json::find_array(entry, field::top_logprobs)) {
        for (const json::value& other : *list) {
          if (static_cast<std::int64_t>(alternatives.size()) >= top || !other.is_object()) break;
          alternatives.emplace_back(
              render_chat_token(read_bytes(other.get_object()), clamp_logprob(other.get_object())));
        }
      }
      json::object token = render_chat_token(bytes, clamp_logprob(entry));
      token[field::top_logprobs] = std::move(alternatives);
      content.emplace_back(std::move(token));
    }
  }
  json::object out;
  out[field::content] = std::move(content);
  out[field::refusal] = nullptr;
  return out;
}

void CompletionLogprobs::add(const json::object& entry) {
  const std::string bytes = read_bytes(entry);
  if (bytes.empty()) return;
  sum_ += clamp_logprob(entry);
  ++count_;
  add_piece(spell(bytes, "bytes:"), bytes, &entry);
}

void CompletionLogprobs::add_echo(std::string_view text, const json::object* entry) {
  add_piece(spell(text, "bytes:"), text, entry);
}

void CompletionLogprobs::add_piece(std::string token, std::string_view bytes, const json::object* entry) {
  text_offset_.emplace_back(offset_);
  offset_ += static_cast<std::int64_t>(text::is_valid_utf8(bytes) ? text::count_code_points(bytes) : 1);
  if (!entry) {
    token_logprobs_.emplace_back(nullptr);
    top_logprobs_.emplace_back(nullptr);
  } else {
    const double own = clamp_logprob(*entry);
    token_logprobs_.emplace_back(own);
    json::object alternatives;
    if (const json::array* list = json::find_array(*entry, field::top_logprobs)) {
      std::int64_t seen = 0;
      for (const json::value& other : *list) {
        if (seen++ >= top_ || !other.is_object()) break;
        const json::object& alternative = other.get_object();
        alternatives.emplace(spell(read_bytes(alternative), "bytes:"), clamp_logprob(alternative));
      }
    }
    if (top_ > 0) alternatives.emplace(token, own);  // the chosen token is always among them
    top_logprobs_.emplace_back(std::move(alternatives));
  }
  tokens_.emplace_back(std::move(token));
}

json::object CompletionLogprobs::take() {
  json::object out;
  out[field::tokens] = std::exchange(tokens_, {});
  out[field::token_logprobs] = std::exchange(token_logprobs_, {});
  out[field::top_logprobs] = std::exchange(top_logprobs_, {});
  out[field::text_offset] = std::exchange(text_offset_, {});
  return out;
}

}  // namespace hearth::engine::llama
