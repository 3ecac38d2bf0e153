// An upstream's log probabilities, and whether it took notice of the wish for them.
#include "base/text.hpp"
#include "engine/upstream/members.hpp"

namespace hearth::engine::upstream {
namespace {

using json::array;
using json::object;
using json::value;

constexpr double out_of_reach = -9999;  // the API's own word for it

std::optional<std::string> read_bytes(const object& token) {
  const array* numbers = json::find_array(token, field::bytes);
  if (!numbers) return std::nullopt;
  std::string bytes;
  for (const value& number : *numbers)
    bytes.push_back(static_cast<char>(json::as_integer(number).value_or(0)));
  return bytes;
}

std::string read_token_text(const object& token) {
  const auto text = json::find_string(token, field::token);
  if (!text) throw unusable_answer();
  return std::string(*text);
}

double read_logprob(const object& token) {
  return json::find_number(token, field::logprob).value_or(out_of_reach);
}

std::optional<std::vector<TokenLogprob>> read_token_list(const object& from, std::string_view name) {
  const array* tokens = json::find_array(from, name);
  if (!tokens) return std::nullopt;
  std::vector<TokenLogprob> list;
  list.reserve(tokens->size());
  for (const value& entry : *tokens) {
    const object* given = entry.if_object();
    if (!given) throw unusable_answer();
    TokenLogprob& token = list.emplace_back();
    token.token = read_token_text(*given);
    token.logprob = read_logprob(*given);
    token.bytes = read_bytes(*given);
    auto& alternatives = token.alternatives.emplace();
    if (const array* others = json::find_array(*given, field::top_logprobs)) {
      for (const value& other : *others) {
        if (const object* each = other.if_object())
          alternatives.push_back({read_token_text(*each), read_logprob(*each), read_bytes(*each)});
      }
    }
  }
  return list;
}

// The `place`th member of one of the parallel lists; null when it is not there.
const value* member_at(const array* list, std::size_t place) {
  return list && place < list->size() ? &(*list)[place] : nullptr;
}

}  // namespace

std::optional<Logprobs> read_chat_logprobs(const object& choice) {
  const object* given = json::find_object(choice, field::logprobs);
  if (!given) return std::nullopt;
  return Logprobs{.text = read_token_list(*given, field::content),
                  .refusal = read_token_list(*given, field::refusal)};
}

std::optional<Logprobs> read_completion_logprobs(const object& choice, std::int64_t& offset) {
  const object* given = json::find_object(choice, field::logprobs);
  if (!given) return std::nullopt;
  const array* tokens = json::find_array(*given, field::tokens);
  if (!tokens) return Logprobs();
  const array* logprobs = json::find_array(*given, field::token_logprobs);
  const array* offsets = json::find_array(*given, field::text_offset);
  const array* alternatives = json::find_array(*given, field::top_logprobs);
  Logprobs out;
  auto& list = out.text.emplace();
  list.reserve(tokens->size());
  for (std::size_t place = 0; place < tokens->size(); ++place) {
    const json::string* text = (*tokens)[place].if_string();
    if (!text) throw unusable_answer();
    TokenLogprob& token = list.emplace_back();
    token.token = json::view(*text);
    if (const value* own = member_at(logprobs, place)) token.logprob = json::as_number(*own);
    const value* given_offset = member_at(offsets, place);
    token.offset =
        std::max<std::int64_t>(0, given_offset ? json::as_integer(*given_offset).value_or(offset) : offset);
    offset = token.offset + static_cast<std::int64_t>(text::count_code_points(token.token));
    const value* others = member_at(alternatives, place);
    if (!others || !others->is_object()) continue;
    auto& known = token.alternatives.emplace();
    for (const auto& other : others->get_object())
      known.push_back({std::string(other.key()), json::as_number(other.value()).value_or(out_of_reach), {}});
  }
  return out;
}

bool wants_logprobs(const object& request, Asked asked) {
  return asked == Asked::chat ? json::find_bool(request, field::logprobs).value_or(false)
                              : json::find_integer(request, field::logprobs).has_value();
}

LogprobsGiven judge_logprobs(const Delta& delta) {
  if (delta.logprobs && (delta.logprobs->text || delta.logprobs->refusal)) return LogprobsGiven::yes;
  return delta.text.empty() && delta.refusal.empty() ? LogprobsGiven::undecided : LogprobsGiven::no;
}

}  // namespace hearth::engine::upstream
