// Deltas as short JSON, for tests: what is empty is left out.
#pragma once

#include <string>

#include "engine/task/generation.hpp"

namespace hearth::engine::testing {

inline json::array describe(const std::vector<TokenLogprob>& tokens) {
  json::array out;
  for (const TokenLogprob& token : tokens) {
    json::object item{{"token", token.token}, {"offset", token.offset}};
    item["logprob"] = token.logprob ? json::value(*token.logprob) : json::value(nullptr);
    if (token.bytes) item["bytes"] = *token.bytes;
    if (token.alternatives) {
      json::array others;
      for (const auto& other : *token.alternatives)
        others.push_back({{"token", other.token}, {"logprob", other.logprob}});
      item["alternatives"] = std::move(others);
    }
    out.push_back(std::move(item));
  }
  return out;
}

inline json::value describe(const Delta& delta) {
  json::object out{{"choice", delta.choice}};
  for (const auto& [name, text] : {std::pair("text", &delta.text), std::pair("refusal", &delta.refusal),
                                   std::pair("reasoning", &delta.reasoning)}) {
    if (!text->empty()) out[name] = *text;
  }
  json::array calls;
  for (const CallPiece& piece : delta.calls) {
    json::object call{{"index", piece.index}};
    if (piece.style == CallStyle::functions) call["style"] = "functions";
    for (const auto& [name, text] : {std::pair("id", &piece.id), std::pair("name", &piece.name),
                                     std::pair("arguments", &piece.arguments)}) {
      if (!text->empty()) call[name] = *text;
    }
    calls.push_back(std::move(call));
  }
  if (!calls.empty()) out["calls"] = std::move(calls);
  if (delta.logprobs) {
    json::object logprobs;
    if (delta.logprobs->text) logprobs["text"] = describe(*delta.logprobs->text);
    if (delta.logprobs->refusal) logprobs["refusal"] = describe(*delta.logprobs->refusal);
    out["logprobs"] = std::move(logprobs);
  }
  if (delta.finish) out["finish"] = finish_reason_name(*delta.finish);
  for (const auto& extra : delta.extras)
    out[extra.key()] = extra.value();
  return out;
}

// The number as JSON writes it is not of interest, the value is.
inline json::value read(std::string_view text) {
  return json::parse(text).value();
}

}  // namespace hearth::engine::testing
