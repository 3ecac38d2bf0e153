// Refusals of stores as clients see them: status, code, message and `param`.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/api_error.hpp"
#include "store/refusal.hpp"

namespace hearth::api {

// `param`: where the subject of the refusal stood in the call, if not where the rule's wording says.
ApiError error_of(const store::Refusal& refusal, std::optional<std::string> param = std::nullopt);

// What the store returned; throws the error of its refusal.
template <class T>
T accept(store::Outcome<T> outcome, std::optional<std::string> param = std::nullopt) {
  if (!outcome) throw error_of(outcome.error(), std::move(param));
  if constexpr (!std::is_void_v<T>) return std::move(*outcome);
}

}  // namespace hearth::api
