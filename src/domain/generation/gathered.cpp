#include "domain/generation/gathered.hpp"

namespace hearth::domain {
namespace {

using TokenList = std::optional<std::vector<engine::TokenLogprob>>;

void append(TokenList& list, const TokenList& more) {
  if (!more) return;
  if (!list) list.emplace();
  list->insert(list->end(), more->begin(), more->end());
}

}  // namespace

void Gathered::add(const engine::Delta& delta) {
  GatheredChoice& choice = choices_[delta.choice];
  choice.text += delta.text;
  choice.refusal += delta.refusal;
  choice.reasoning += delta.reasoning;
  for (const engine::CallPiece& piece : delta.calls) {
    GatheredCall& call = choice.calls[piece.index];
    call.style = piece.style;
    call.id += piece.id;
    call.name += piece.name;
    call.arguments += piece.arguments;
  }
  if (delta.logprobs) {
    if (!choice.logprobs) choice.logprobs.emplace();
    append(choice.logprobs->text, delta.logprobs->text);
    append(choice.logprobs->refusal, delta.logprobs->refusal);
  }
  if (delta.finish) choice.finish = delta.finish;
  for (const auto& member : delta.extras)
    choice.extras[member.key()] = member.value();
}

}  // namespace hearth::domain
