// Checks JSON values against the schemas of the contract, in one pass over generated tables.
//
// Thread: any; a Validator never changes after construction. Success allocates nothing (but the names of
// ignored members, where some are present). The depth of recursion follows the value's, which is bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "contract/tables.hpp"
#include "contract/violation.hpp"
#include "json/json.hpp"

namespace hearth::contract {

enum class Strictness : std::uint8_t {
  request,  // from a client: also `requires` holds
  reply,    // our own, checked by the gate
};

class Validator {
 public:
  explicit Validator(const SchemaTables& tables);
  // The one over the API's own tables.
  static const Validator& api();

  // nullopt when `value` fits. `ignored`, when given, receives the paths of the members that are accepted
  // without effect; it means nothing after a violation.
  std::optional<Violation> validate(SchemaId schema, const json::value& value, Strictness strictness,
                                    std::vector<std::string>* ignored = nullptr) const;

  // The default of a field of an object schema; nullptr when there is none.
  const json::value* find_default(SchemaId schema, std::string_view field) const;
  // Adds the defaults of the absent fields of an object schema; members inside members stay as they are.
  void apply_defaults(SchemaId schema, json::object& object) const;

  const SchemaTables& tables() const { return tables_; }
  const Node& node(SchemaId schema) const { return tables_.nodes[static_cast<std::size_t>(schema)]; }
  // The field of an object node; nullptr when it has none of that name.
  const Field* find_field(const Node& object, std::string_view name) const {
    const std::uint32_t mask = (std::uint32_t{1} << object.slot_bits) - 1;
    const std::uint8_t slot = tables_.slots[object.slots + (hash_name(name, object.hash_seed) & mask)];
    if (slot == no_field) return nullptr;
    const Field& field = tables_.fields[object.first + slot];
    return field.name == name ? &field : nullptr;
  }

 private:
  const SchemaTables& tables_;
  std::vector<json::value> defaults_;
};

// The same over the API's own tables.
std::optional<Violation> validate(SchemaId schema, const json::value& value, Strictness strictness,
                                  std::vector<std::string>* ignored = nullptr);
// The default must exist: asking for another is a fault of the caller's, answered by std::logic_error.
const json::value& default_of(SchemaId schema, std::string_view field);

}  // namespace hearth::contract
