// The deltas of a reply put together: what each choice has said.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/task/generation.hpp"
#include "json/json.hpp"

namespace hearth::domain {

struct GatheredCall {
  engine::CallStyle style = engine::CallStyle::tools;
  std::string id;
  std::string name;
  std::string arguments;
};

struct GatheredChoice {
  std::string text;
  std::string refusal;
  std::string reasoning;
  std::map<std::size_t, GatheredCall> calls;  // by index
  std::optional<engine::Logprobs> logprobs;
  std::optional<engine::FinishReason> finish;
  json::object extras;
};

// Pure. Feed every delta, then look.
class Gathered {
 public:
  void add(const engine::Delta& delta);
  const std::map<std::size_t, GatheredChoice>& choices() const { return choices_; }

 private:
  std::map<std::size_t, GatheredChoice> choices_;  // by number
};

}  // namespace hearth::domain
