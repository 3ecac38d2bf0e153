// Moving members between JSON objects. Within one answer it copies nothing, because all of it lives in the
// same memory. Included by the readers of upstream answers only.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "contract/fields.hpp"
#include "engine/upstream/reply.hpp"
#include "json/json.hpp"

namespace hearth::engine::upstream {

namespace field = contract::field;

inline bool is_kind(const json::value& member, std::initializer_list<json::kind> kinds) {
  return std::ranges::find(kinds, member.kind()) != kinds.end();
}

// Moves the member to `to` when it is there and of one of the kinds.
inline bool move_member(json::object& from, json::object& to, std::string_view name,
                        std::initializer_list<json::kind> kinds) {
  json::value* member = from.if_contains(name);
  if (!member || !is_kind(*member, kinds)) return false;
  to.emplace(name, std::move(*member));
  return true;
}

inline void move_or_null(json::object& from, json::object& to, std::string_view name,
                         std::initializer_list<json::kind> kinds) {
  if (!move_member(from, to, name, kinds)) to.emplace(name, nullptr);
}

inline json::object* object_of(json::object& from, std::string_view name) {
  json::value* member = from.if_contains(name);
  return member ? member->if_object() : nullptr;
}

inline json::array* array_of(json::object& from, std::string_view name) {
  json::value* member = from.if_contains(name);
  return member ? member->if_array() : nullptr;
}

inline void move_count(const json::object& from, json::object& to, std::string_view name) {
  if (const auto count = json::find_integer(from, name); count && *count >= 0) to.emplace(name, *count);
}

// Where the choice or vector belongs among `count`; by its place when it does not say.
inline std::size_t index_of(const json::object& choice, std::size_t position, std::size_t count) {
  const auto index = json::find_integer(choice, field::index).value_or(static_cast<std::int64_t>(position));
  if (index < 0 || static_cast<std::size_t>(index) >= count) throw unusable_answer();
  return static_cast<std::size_t>(index);
}

}  // namespace hearth::engine::upstream
