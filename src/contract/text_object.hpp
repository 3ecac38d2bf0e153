// An object whose members come as texts: those of a path, a query or a form. The part that query.hpp and
// form.hpp share.
//
// Names lead into it: `x`, `x[]` and `x[0]` (items of an array), `x[key]` (a member of an object). What
// cannot be read as the declared type stays text, so that the validator names the fault.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contract/validator.hpp"
#include "json/json.hpp"

namespace hearth::contract {

using ParameterResult = std::expected<json::object, Violation>;

class TextObject {
 public:
  // `schema` is an object type.
  TextObject(const Validator& validator, SchemaId schema) : validator_(validator), schema_(schema) {}

  // Where the text of a name goes.
  struct Place {
    std::string_view field;      // the member of the whole object; views the name
    const Node* node = nullptr;  // the type of one text; null: none is declared
  };
  Place find(std::string_view name) const;
  // What is wrong with a name that leads nowhere.
  std::optional<Violation> judge_name(std::string_view name, const Place& place) const;

  // A violation when the name was given before and takes one value only.
  std::optional<Violation> add(std::string_view name, std::string_view text);

  // The whole, validated and with defaults; once.
  ParameterResult finish(std::vector<std::string>* ignored = nullptr);

 private:
  const Node& node_at(std::uint16_t index) const { return validator_.tables().nodes[index]; }
  const Node* arm(const Node* node, ValueKind kind) const;
  const Node* list(const Node* node) const;
  const Node* item(const Node* node) const;
  const Node* member(const Node* object, std::string_view name) const;
  bool is_item(const Node* node, std::string_view name) const;
  const Node* find_field_node(std::string_view name) const;
  bool place(json::value& slot, const Node* node, std::span<const std::string_view> rest,
             std::string_view text);
  bool place_here(json::value& slot, const Node* node, std::string_view text);
  json::value read_scalar(const Node* node, std::string_view text) const;

  const Validator& validator_;
  SchemaId schema_;
  json::object result_;
};

}  // namespace hearth::contract
