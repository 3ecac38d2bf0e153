#include "engine/llama_schema.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "base/api_error.hpp"

namespace hearth::engine::llama {
namespace {

// Keywords that the server's schema-to-grammar conversion drops without a word.
constexpr std::array<std::string_view, 16> ignored_keywords{"not",
                                                            "if",
                                                            "then",
                                                            "else",
                                                            "dependentRequired",
                                                            "dependentSchemas",
                                                            "contains",
                                                            "minContains",
                                                            "maxContains",
                                                            "uniqueItems",
                                                            "multipleOf",
                                                            "patternProperties",
                                                            "minProperties",
                                                            "maxProperties",
                                                            "propertyNames",
                                                            "unevaluatedProperties"};
constexpr std::array<std::string_view, 4> bounds{"minimum", "maximum", "exclusiveMinimum",
                                                 "exclusiveMaximum"};

class StrictCheck {
 public:
  explicit StrictCheck(std::string_view param) : param_(param) {}

  void check(const json::object& schema, const std::string& where) const {
    for (const std::string_view keyword : ignored_keywords) {
      if (schema.contains(keyword))
        refuse(fmt::format("'{}' is not supported in strict schemas", keyword), where);
    }
    const auto type = json::find_string(schema, "type");
    const bool enforces_bounds = type == "integer";
    for (const std::string_view bound : bounds) {
      if (!enforces_bounds && schema.contains(bound)) {
        refuse(fmt::format("'{}' is only supported for integers in strict schemas", bound), where);
      }
    }
    if (type == "object" || schema.contains("properties")) check_object(schema, where);
    for (const std::string_view list : {"anyOf", "oneOf", "allOf", "prefixItems"}) {
      if (const json::array* arms = json::find_array(schema, list)) {
        for (std::size_t i = 0; i < arms->size(); ++i) {
          check_any((*arms)[i], fmt::format("{}.{}[{}]", where, list, i));
        }
      }
    }
    if (const json::value* items = json::find(schema, "items")) check_any(*items, where + ".items");
    for (const std::string_view definitions : {"$defs", "definitions"}) {
      if (const json::object* named = json::find_object(schema, definitions)) {
        for (const auto& entry : *named)
          check_any(entry.value(), fmt::format("{}.{}", definitions, entry.key()));
      }
    }
  }

 private:
  void check_object(const json::object& schema, const std::string& where) const {
    const json::value* extra = json::find(schema, "additionalProperties");
    if (!extra || !extra->is_bool() || extra->get_bool())
      refuse("'additionalProperties' must be false", where);
    const json::object* properties = json::find_object(schema, "properties");
    if (!properties) return;
    const json::array* required = json::find_array(schema, "required");
    for (const auto& property : *properties) {
      const auto names = [&](const json::value& name) {
        return name.is_string() && json::view(name.get_string()) == property.key();
      };
      if (!required || std::ranges::none_of(*required, names)) {
        refuse(fmt::format("'required' must name every property; '{}' is missing",
                           std::string_view(property.key())),
               where);
      }
      check_any(property.value(), fmt::format("{}.{}", where, std::string_view(property.key())));
    }
  }

  void check_any(const json::value& schema, const std::string& where) const {
    if (schema.is_object()) check(schema.get_object(), where);
  }

  [[noreturn]] void refuse(std::string what, const std::string& where) const {
    throw ApiError::invalid_request(
        "invalid_json_schema", fmt::format("Invalid schema at {}: {}.", where, what), std::string(param_));
  }

  std::string_view param_;
};

}  // namespace

void check_strict_schema(const json::object& schema, std::string_view param) {
  const auto type = json::find_string(schema, "type");
  if (type != "object") {
    throw ApiError::invalid_request("invalid_json_schema",
                                    "Invalid schema at $: the root must be of the type 'object'.",
                                    std::string(param));
  }
  StrictCheck(param).check(schema, "$");
}

}  // namespace hearth::engine::llama
