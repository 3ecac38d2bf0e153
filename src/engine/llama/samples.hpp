// Requests, a model's traits and refusals for the tests of the llama adapter's pure half.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/api_error.hpp"
#include "engine/llama/chat.hpp"

namespace hearth::engine::llama {

inline json::object object(std::string_view text) {
  return json::parse(text).value().get_object();
}

inline Traits able() {
  Traits traits;
  traits.model = "tiny";
  traits.slots = 4;
  traits.vocabulary = 500;
  traits.calls_tools = true;
  traits.call_prefix = "<tool_call>\n";
  traits.end_of_text = "<end>";
  return traits;
}

// The code and the parameter of what `act` throws.
template <class Act>
std::pair<std::string, std::string> refusal(Act act) {
  try {
    act();
  } catch (const ApiError& error) {
    return {error.code().value_or(""), error.param().value_or("")};
  }
  return {"", "nothing was thrown"};
}

using Refusal = std::pair<std::string, std::string>;

inline Refusal chat_refusal(std::string_view request, const Traits& traits = able()) {
  return refusal([&] { plan_chat(object(request), traits); });
}

}  // namespace hearth::engine::llama
