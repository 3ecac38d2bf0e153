// Whether an upstream took notice of the wish for log probabilities.
#include "contract/fields.hpp"
#include "engine/upstream/reply.hpp"

namespace hearth::engine::upstream {
namespace {

namespace field = contract::field;
using json::object;
using json::value;

bool has_text(const object& from, std::string_view name) {
  return !json::find_string(from, name).value_or("").empty();
}

}  // namespace

bool wants_logprobs(const object& request, Asked asked) {
  return asked == Asked::chat ? json::find_bool(request, field::logprobs).value_or(false)
                              : json::find_integer(request, field::logprobs).has_value();
}

Logprobs judge_logprobs(const object& reply, Asked asked) {
  for (const value& entry : *json::find_array(reply, field::choices)) {
    const object& choice = entry.as_object();
    const object* logprobs = json::find_object(choice, field::logprobs);
    if (asked == Asked::completion) {
      if (logprobs && json::find_array(*logprobs, field::tokens)) return Logprobs::given;
      if (has_text(choice, field::text)) return Logprobs::missing;
      continue;
    }
    if (logprobs &&
        (json::find_array(*logprobs, field::content) || json::find_array(*logprobs, field::refusal)))
      return Logprobs::given;
    for (const auto name : {field::message, field::delta}) {
      const object* message = json::find_object(choice, name);
      if (message && (has_text(*message, field::content) || has_text(*message, field::refusal)))
        return Logprobs::missing;
    }
  }
  return Logprobs::undecided;
}

}  // namespace hearth::engine::upstream
