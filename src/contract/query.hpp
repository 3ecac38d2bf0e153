// Turns the texts of a path, a query or a form into a JSON object of the types that the contract declares,
// validated and with defaults filled in.
//
// Accepted spellings: x=1, x=a&x=b and x[]=a&x[]=b and x[0]=a (arrays), x[key]=v (objects). What cannot be
// read as the declared type stays text, so that the validator names the fault. Thread: any.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "contract/router.hpp"
#include "contract/validator.hpp"
#include "json/json.hpp"

namespace hearth::contract {

enum class FormPartKind : std::uint8_t { text, file };
struct FormPart {
  std::string_view name;
  std::string_view value;  // of a file: its file name; the bytes stay where they are
  FormPartKind kind = FormPartKind::text;
};

// Each throws ApiError 400 on a violation.
// `query` is the part after '?', still encoded.
json::object read_query(const Validator& validator, const Operation& operation, std::string_view query);
json::object read_path(const Validator& validator, const Route& route);
// The parts of a multipart body, checked against the operation's body schema.
json::object read_form(const Validator& validator, const Operation& operation,
                       std::span<const FormPart> parts);

// The same for a schema, with the violation as a value.
using ParameterResult = std::expected<json::object, Violation>;
ParameterResult read_query(const Validator& validator, SchemaId schema, std::string_view query);
ParameterResult read_form(const Validator& validator, SchemaId schema, std::span<const FormPart> parts);

}  // namespace hearth::contract
