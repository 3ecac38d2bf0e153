#include "contract/fields.hpp"
#include "domain/generation/rendering.hpp"
#include "domain/generation/rendering_parts.hpp"

namespace hearth::domain {
namespace {

namespace field = contract::field;
constexpr std::string_view object_name = "text_completion";

// Four lists side by side, a place in each for every token.
void add_logprobs(json::object& choice, const std::optional<engine::Logprobs>& logprobs) {
  json::value& member = choice[field::logprobs];
  if (!logprobs || !logprobs->text) return;  // null
  json::object& lists = member.emplace_object();
  lists.reserve(4);
  json::array& tokens = add_array(lists, field::tokens);
  json::array& token_logprobs = add_array(lists, field::token_logprobs);
  json::array& top_logprobs = add_array(lists, field::top_logprobs);
  json::array& text_offset = add_array(lists, field::text_offset);
  for (const engine::TokenLogprob& token : *logprobs->text) {
    tokens.emplace_back(token.token);
    text_offset.emplace_back(token.offset);
    json::value& own = token_logprobs.emplace_back(nullptr);
    if (token.logprob) own = *token.logprob;
    json::value& others = top_logprobs.emplace_back(nullptr);
    if (!token.alternatives) continue;
    json::object& map = others.emplace_object();
    for (const auto& other : *token.alternatives)
      map.emplace(other.token, other.logprob);
  }
}

template <class Said>
void render_choice(std::size_t number, const Said& said, json::object& out) {
  out.reserve(4);
  out.emplace(field::text, said.text);
  out.emplace(field::index, number);
  add_logprobs(out, said.logprobs);
  add_finish_reason(out, said.finish);
}

}  // namespace

bool render_completion_chunk(const ChunkFrame& frame, const engine::Delta& delta, json::value& out) {
  if (delta.text.empty() && !delta.logprobs && !delta.finish) return false;
  json::object& document = begin_document(out, frame.stamp, object_name);
  render_choice(delta.choice, delta, add_object(add_array(document, field::choices)));
  add_fingerprint(document, frame.fingerprint);
  if (frame.usage == UsageMember::null) document.emplace(field::usage, nullptr);
  return true;
}

json::object render_completion(const ReplyStamp& stamp, std::string_view fingerprint,
                               const Gathered& gathered, const engine::TokenUsage& usage) {
  json::value out;
  json::object& document = begin_document(out, stamp, object_name);
  json::array& choices = add_array(document, field::choices);
  for (const auto& [number, said] : gathered.choices())
    render_choice(number, said, add_object(choices));
  render_usage(usage, add_object(document, field::usage));
  add_fingerprint(document, fingerprint);
  return std::move(document);
}

}  // namespace hearth::domain
