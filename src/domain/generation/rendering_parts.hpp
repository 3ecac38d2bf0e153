// What the renderings of chats and of text completions share. Included by them only.
#pragma once

#include <optional>
#include <string_view>

#include "domain/generation/rendering.hpp"
#include "engine/task/generation.hpp"
#include "json/json.hpp"

namespace hearth::domain {

// Begins the document with the stamp, which clients and people expect first.
json::object& begin_document(json::value& out, const ReplyStamp& stamp, std::string_view object_name);
// Made in the memory of what they are added to. A reference ends with the next addition.
inline json::object& add_object(json::array& list) {
  return list.emplace_back(nullptr).emplace_object();
}
inline json::object& add_object(json::object& to, std::string_view name) {
  return to.emplace(name, nullptr).first->value().emplace_object();
}
inline json::array& add_array(json::object& to, std::string_view name) {
  return to.emplace(name, nullptr).first->value().emplace_array();
}
void add_fingerprint(json::object& document, std::string_view fingerprint);
void add_finish_reason(json::object& choice, const std::optional<engine::FinishReason>& finish);
void render_usage(const engine::TokenUsage& usage, json::object& out);

}  // namespace hearth::domain
