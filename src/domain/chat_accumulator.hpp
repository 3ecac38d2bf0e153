// Puts the chunks of a streamed chat completion together to the completion they amount to, for storing it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "json/json.hpp"

namespace hearth::domain {

// Pure. Feed every chunk as it was sent, then take the whole.
class ChatAccumulator {
 public:
  void add(const json::object& chunk);
  // chat.completion with the id, time and model of the chunks; `usage` is null when it is not known.
  json::object finish(json::value usage);

 private:
  struct Choice {
    std::string content;
    bool has_content = false;
    std::string refusal;
    bool has_refusal = false;
    std::map<std::int64_t, json::object> tool_calls;
    json::object function_call;
    json::array logprobs;
    bool has_logprobs = false;
    json::value finish_reason;
  };
  void add_delta(Choice& choice, const json::object& delta);

  json::object head_;  // id, created, model, service_tier, system_fingerprint
  std::map<std::int64_t, Choice> choices_;
};

}  // namespace hearth::domain
