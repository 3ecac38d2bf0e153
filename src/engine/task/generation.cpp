#include "engine/task/generation.hpp"

namespace hearth::engine {

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::tool_calls:
      return "tool_calls";
    case FinishReason::content_filter:
      return "content_filter";
    case FinishReason::function_call:
      return "function_call";
  }
  return "stop";
}

void Delta::clear() {
  choice = 0;
  text.clear();
  refusal.clear();
  reasoning.clear();
  calls.clear();
  logprobs.reset();
  finish.reset();
  extras.clear();
}

Task<const Delta*> ReadyDeltas::next() {
  co_return next_ < deltas_.size() ? &deltas_[next_++] : nullptr;
}

}  // namespace hearth::engine
