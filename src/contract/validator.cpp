#include "contract/validator.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "contract/walk.hpp"

namespace hearth::contract {

ApiError to_error(Violation violation) {
  auto param = violation.param.empty() ? std::nullopt : std::optional(std::move(violation.param));
  return ApiError::invalid_request(violation.code, std::move(violation.message), std::move(param));
}

Validator::Validator(const SchemaTables& tables) : tables_(tables) {
  defaults_.reserve(tables.defaults.size());
  for (std::string_view text : tables.defaults) {
    defaults_.push_back(text.empty() ? json::value() : boost::json::parse(text));
  }
}

const Validator& Validator::api() {
  static const Validator validator(generated_schemas);
  return validator;
}

std::optional<Violation> Validator::validate(SchemaId schema, const json::value& value, Strictness strictness,
                                             std::vector<std::string>* ignored) const {
  Walk walk(*this, strictness, ignored);
  if (walk.check(static_cast<std::uint16_t>(schema), value, nullptr)) return std::nullopt;
  return std::move(walk.violation);
}

const json::value* Validator::find_default(SchemaId schema, std::string_view field) const {
  const Node& object = node(schema);
  if (object.kind != Kind::object) return nullptr;
  const Field* found = find_field(object, field);
  return found != nullptr && found->default_value != 0 ? &defaults_[found->default_value] : nullptr;
}

void Validator::apply_defaults(SchemaId schema, json::object& object) const {
  const Node& described = node(schema);
  if (described.kind != Kind::object) return;
  for (const Field& field : tables_.fields.subspan(described.first, described.count)) {
    if (field.default_value != 0 && !object.contains(field.name)) {
      object.emplace(field.name, defaults_[field.default_value]);
    }
  }
}

std::optional<Violation> validate(SchemaId schema, const json::value& value, Strictness strictness,
                                  std::vector<std::string>* ignored) {
  return Validator::api().validate(schema, value, strictness, ignored);
}

const json::value& default_of(SchemaId schema, std::string_view field) {
  const json::value* found = Validator::api().find_default(schema, field);
  if (found == nullptr) throw std::logic_error(fmt::format("the contract has no default for '{}'", field));
  return *found;
}

}  // namespace hearth::contract
