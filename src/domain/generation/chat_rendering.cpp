#include "contract/fields.hpp"
#include "domain/generation/rendering.hpp"
#include "domain/generation/rendering_parts.hpp"

namespace hearth::domain {
namespace {

namespace field = contract::field;
using engine::CallStyle;
using engine::TokenLogprob;

constexpr std::string_view assistant = "assistant";

void render_bytes(const std::optional<std::string>& bytes, json::value& out) {
  if (!bytes) return;  // null
  json::array& list = out.emplace_array();
  list.reserve(bytes->size());
  for (const char byte : *bytes)
    list.emplace_back(static_cast<std::int64_t>(static_cast<unsigned char>(byte)));
}

// A token or one of its alternatives.
template <class Token>
void render_token(const Token& token, double logprob, json::object& out) {
  out.emplace(field::token, token.token);
  out.emplace(field::logprob, logprob);
  render_bytes(token.bytes, out[field::bytes]);
}

void render_tokens(const std::optional<std::vector<TokenLogprob>>& tokens, json::value& out) {
  if (!tokens) return;  // null
  json::array& list = out.emplace_array();
  for (const TokenLogprob& token : *tokens) {
    json::object& item = add_object(list);
    render_token(token, token.logprob.value_or(0), item);
    json::array& others = add_array(item, field::top_logprobs);
    if (!token.alternatives) continue;
    for (const auto& other : *token.alternatives)
      render_token(other, other.logprob, add_object(others));
  }
}

void add_logprobs(json::object& choice, const std::optional<engine::Logprobs>& logprobs) {
  json::value& member = choice[field::logprobs];
  if (!logprobs) return;  // null
  json::object& lists = member.emplace_object();
  render_tokens(logprobs->text, lists[field::content]);
  render_tokens(logprobs->refusal, lists[field::refusal]);
}

void add_text_or_null(json::object& message, std::string_view name, std::string_view text) {
  json::value& member = message[name];
  if (!text.empty()) member = text;
}

void render_call_piece(const engine::CallPiece& piece, json::object& delta) {
  if (piece.style == CallStyle::functions) {
    json::object& function = add_object(delta, field::function_call);
    if (!piece.name.empty()) function.emplace(field::name, piece.name);
    function.emplace(field::arguments, piece.arguments);
    return;
  }
  json::value& calls = delta[field::tool_calls];
  if (!calls.is_array()) calls.emplace_array();
  json::object& call = add_object(calls.get_array());
  call.emplace(field::index, piece.index);
  if (!piece.id.empty()) {
    call.emplace(field::id, piece.id);
    call.emplace(field::type, "function");
  }
  json::object& function = add_object(call, field::function);
  if (!piece.name.empty()) function.emplace(field::name, piece.name);
  function.emplace(field::arguments, piece.arguments);
}

void render_delta(const engine::Delta& delta, ChoiceState state, json::object& out) {
  if (state == ChoiceState::begins) {
    out.emplace(field::role, assistant);
    json::value& content = out[field::content];
    if (!delta.text.empty() || (delta.calls.empty() && delta.refusal.empty())) content = delta.text;
    add_text_or_null(out, field::refusal, delta.refusal);
  } else {
    if (!delta.text.empty() || delta.logprobs) out.emplace(field::content, delta.text);
    if (!delta.refusal.empty()) out.emplace(field::refusal, delta.refusal);
  }
  for (const engine::CallPiece& piece : delta.calls)
    render_call_piece(piece, out);
}

void render_message(const GatheredChoice& choice, json::object& out) {
  out.emplace(field::role, assistant);
  // Nothing is "" only where nothing else was said either.
  const bool silent =
      choice.text.empty() && (!choice.calls.empty() || !choice.refusal.empty() || !choice.extras.empty());
  json::value& content = out[field::content];
  if (!silent) content = choice.text;
  add_text_or_null(out, field::refusal, choice.refusal);
  for (const auto& [index, call] : choice.calls) {
    if (call.style == CallStyle::functions) {
      json::object& function = add_object(out, field::function_call);
      function.emplace(field::name, call.name);
      function.emplace(field::arguments, call.arguments);
      continue;
    }
    json::value& calls = out[field::tool_calls];
    if (!calls.is_array()) calls.emplace_array();
    json::object& rendered = add_object(calls.get_array());
    rendered.emplace(field::id, call.id);
    rendered.emplace(field::type, "function");
    json::object& function = add_object(rendered, field::function);
    function.emplace(field::name, call.name);
    function.emplace(field::arguments, call.arguments);
  }
  for (const auto& member : choice.extras)
    out[member.key()] = member.value();
}

}  // namespace

bool render_chat_chunk(const ChunkFrame& frame, const engine::Delta& delta, ChoiceState state,
                       json::value& out) {
  const bool tells = state == ChoiceState::begins || delta.says_something() || delta.logprobs || delta.finish;
  if (!tells) return false;
  json::object& document = begin_document(out, frame.stamp, "chat.completion.chunk");
  json::object& choice = add_object(add_array(document, field::choices));
  choice.reserve(4);
  choice.emplace(field::index, delta.choice);
  render_delta(delta, state, add_object(choice, field::delta));
  add_logprobs(choice, delta.logprobs);
  add_finish_reason(choice, delta.finish);
  add_fingerprint(document, frame.fingerprint);
  if (frame.usage == UsageMember::null) document.emplace(field::usage, nullptr);
  return true;
}

json::object render_chat(const ReplyStamp& stamp, std::string_view fingerprint, const Gathered& gathered,
                         const engine::TokenUsage& usage) {
  json::value out;
  json::object& document = begin_document(out, stamp, "chat.completion");
  json::array& choices = add_array(document, field::choices);
  for (const auto& [number, said] : gathered.choices()) {
    json::object& choice = add_object(choices);
    choice.emplace(field::index, number);
    render_message(said, add_object(choice, field::message));
    add_logprobs(choice, said.logprobs);
    add_finish_reason(choice, said.finish);
  }
  render_usage(usage, add_object(document, field::usage));
  add_fingerprint(document, fingerprint);
  return std::move(document);
}

}  // namespace hearth::domain
