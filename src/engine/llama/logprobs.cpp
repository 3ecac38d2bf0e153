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

// A token that is only part of a character has no text; its bytes are spelled out as the original does.
std::string spell(std::string_view bytes, std::string_view prefix) {
  if (text::is_valid_utf8(bytes)) return std::string(bytes);
  std::string out(prefix);
  for (const char byte : bytes)
    out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  return out;
}

}  // namespace

std::vector<TokenLogprob> read_chat_logprobs(const json::array* probabilities, std::int64_t top) {
  std::vector<TokenLogprob> out;
  if (!probabilities) return out;
  for (const json::value& item : *probabilities) {
    if (!item.is_object()) continue;
    const json::object& entry = item.get_object();
    std::string bytes = read_bytes(entry);
    if (bytes.empty()) continue;
    TokenLogprob& token = out.emplace_back();
    token.token = spell(bytes, "");
    token.logprob = clamp_logprob(entry);
    token.bytes = std::move(bytes);
    auto& alternatives = token.alternatives.emplace();
    const json::array* list = json::find_array(entry, field::top_logprobs);
    if (!list) continue;
    for (const json::value& other : *list) {
      if (static_cast<std::int64_t>(alternatives.size()) >= top || !other.is_object()) break;
      std::string own = read_bytes(other.get_object());
      std::string spelled = spell(own, "");
      alternatives.push_back({std::move(spelled), clamp_logprob(other.get_object()), std::move(own)});
    }
  }
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
  TokenLogprob& out = tokens_.emplace_back();
  out.offset = offset_;
  offset_ += static_cast<std::int64_t>(text::is_valid_utf8(bytes) ? text::count_code_points(bytes) : 1);
  if (entry) {
    out.logprob = clamp_logprob(*entry);
    auto& alternatives = out.alternatives.emplace();
    if (const json::array* list = json::find_array(*entry, field::top_logprobs)) {
      for (const json::value& other : *list) {
        if (static_cast<std::int64_t>(alternatives.size()) >= top_ || !other.is_object()) break;
        const json::object& alternative = other.get_object();
        alternatives.push_back({spell(read_bytes(alternative), "bytes:"), clamp_logprob(alternative), {}});
      }
    }
    // The chosen token is always among them.
    if (top_ > 0 &&
        std::ranges::find(alternatives, token, &TokenLogprob::Alternative::token) == alternatives.end())
      alternatives.push_back({token, *out.logprob, {}});
  }
  out.token = std::move(token);
}

Logprobs CompletionLogprobs::take() {
  Logprobs out;
  out.text = std::exchange(tokens_, {});
  return out;
}

}  // namespace hearth::engine::llama
