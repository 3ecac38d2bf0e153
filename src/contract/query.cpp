#include "contract/query.hpp"

#include <algorithm>
#include <optional>

#include "contract/percent.hpp"

namespace hearth::contract {
namespace {

json::object object_or_throw(ParameterResult result) {
  if (!result) throw to_error(std::move(result.error()));
  return std::move(*result);
}

}  // namespace

ParameterResult read_query(const Validator& validator, SchemaId schema, std::string_view query) {
  TextObject object(validator, schema);
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto name = percent_decode(pair.substr(0, equals), Plus::blank);
    const auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())), Plus::blank);
    if (!name || !value) {
      return std::unexpected(
          Violation{name.value_or(""), code::value, "The query is not valid percent-encoded UTF-8."});
    }
    if (auto violation = object.add(*name, *value)) return std::unexpected(std::move(*violation));
  }
  return object.finish();
}

json::object read_query(const Validator& validator, const Operation& operation, std::string_view query) {
  return object_or_throw(read_query(validator, operation.query_fields, query));
}

json::object read_path(const Validator& validator, const Route& route) {
  TextObject object(validator, route.operation->path_fields);
  for (std::size_t i = 0; i < route.path_values.size(); ++i) {
    if (auto violation = object.add(route.operation->path_names[i], route.path_values[i])) {
      throw to_error(std::move(*violation));
    }
  }
  return object_or_throw(object.finish());
}

}  // namespace hearth::contract
