// Reading and moving members of JSON objects. Included by the readers of upstream answers only.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "contract/fields.hpp"
#include "engine/task/generation.hpp"
#include "engine/upstream/reply.hpp"
#include "json/json.hpp"

namespace hearth::engine::upstream {

namespace field = contract::field;

// Where the choice or vector belongs among `count`; by its place when it does not say.
inline std::size_t index_of(const json::object& choice, std::size_t position, std::size_t count) {
  const auto index = json::find_integer(choice, field::index).value_or(static_cast<std::int64_t>(position));
  if (index < 0 || static_cast<std::size_t>(index) >= count) throw unusable_answer();
  return static_cast<std::size_t>(index);
}

// None when the choice has none.
std::optional<Logprobs> read_chat_logprobs(const json::object& choice);
// `offset` is where the choice's text ends; it is moved on. An upstream that tells no offsets gets ours.
std::optional<Logprobs> read_completion_logprobs(const json::object& choice, std::int64_t& offset);

}  // namespace hearth::engine::upstream
