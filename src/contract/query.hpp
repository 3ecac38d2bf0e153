// Turns the texts of a path or a query into a JSON object of the types that the contract declares, validated
// and with defaults filled in. Forms: form.hpp.
//
// Accepted spellings: x=1, x=a&x=b and x[]=a&x[]=b and x[0]=a (arrays), x[key]=v (objects). What cannot be
// read as the declared type stays text, so that the validator names the fault. Thread: any.
#pragma once

#include <string_view>

#include "contract/router.hpp"
#include "contract/text_object.hpp"
#include "json/json.hpp"

namespace hearth::contract {

// Each throws ApiError 400 on a violation.
// `query` is the part after '?', still encoded.
json::object read_query(const Validator& validator, const Operation& operation, std::string_view query);
json::object read_path(const Validator& validator, const Route& route);

// The same for a schema, with the violation as a value.
ParameterResult read_query(const Validator& validator, SchemaId schema, std::string_view query);

}  // namespace hearth::contract
