#include "contract/query.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "contract/percent.hpp"

namespace hearth::contract {
namespace {

constexpr std::size_t deepest_name = 8;  // a[b][c]… beyond this is nobody's parameter

// "metadata[key]" as {"metadata", "key"}, "x[]" as {"x", ""}; a name that does not follow the form stays
// whole.
std::vector<std::string_view> split_name(std::string_view name) {
  std::vector<std::string_view> parts;
  const std::size_t bracket = name.find('[');
  if (bracket == std::string_view::npos || bracket == 0 || !name.ends_with(']')) return {name};
  parts.push_back(name.substr(0, bracket));
  for (std::string_view rest = name.substr(bracket); !rest.empty();) {
    const std::size_t end = rest.find(']');
    if (rest.front() != '[' || end == std::string_view::npos || parts.size() == deepest_name) return {name};
    parts.push_back(rest.substr(1, end - 1));
    rest.remove_prefix(end + 1);
  }
  return parts;
}

template <class Number>
std::optional<Number> read_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

class Builder {
 public:
  Builder(const Validator& validator, SchemaId schema) : validator_(validator), schema_(schema) {}

  // A violation when the name was given before and takes one value only.
  std::optional<Violation> add(std::string_view name, std::string_view text) {
    const auto parts = split_name(name);
    const Field* field = validator_.find_field(validator_.node(schema_), parts.front());
    if (field == nullptr) {
      result_[parts.front()] = json::string(text);
      return std::nullopt;
    }
    json::value& slot = result_[parts.front()];
    const bool put = place(slot, &node_at(field->node), std::span(parts).subspan(1), text);
    if (put) return std::nullopt;
    return Violation{std::string(name), code::value,
                     fmt::format("'{}' is given more than once, or in two forms.", name)};
  }

  ParameterResult finish(Strictness strictness) {
    json::value whole(std::move(result_));
    if (auto violation = validator_.validate(schema_, whole, strictness)) {
      return std::unexpected(std::move(*violation));
    }
    validator_.apply_defaults(schema_, whole.get_object());
    return std::move(whole.get_object());
  }

 private:
  const Node& node_at(std::uint16_t index) const { return validator_.tables().nodes[index]; }

  // The arm of `node` for values of `kind`; the node itself where it has no arms; nullptr when no arm fits.
  const Node* arm(const Node* node, ValueKind kind) const {
    if (node == nullptr || node->kind != Kind::by_kind) return node;
    const std::uint16_t index = validator_.tables().arms[node->first + static_cast<std::size_t>(kind)];
    return index != no_node ? &node_at(index) : nullptr;
  }

  // Puts `text` below `slot`, where `rest` of the name leads to; false when something is there already.
  bool place(json::value& slot, const Node* node, std::span<const std::string_view> rest,
             std::string_view text) {
    if (rest.empty()) return place_here(slot, node, text);
    const Node* list = arm(node, ValueKind::array);
    const bool is_index = read_number<unsigned>(rest.front()).has_value();
    if (rest.front().empty() || (is_index && list != nullptr && list->kind == Kind::array)) {
      if (slot.is_null()) slot.emplace_array();
      if (!slot.is_array()) return false;
      const Node* item = list != nullptr && list->kind == Kind::array ? &node_at(list->inner) : nullptr;
      return place(slot.get_array().emplace_back(nullptr), item, rest.subspan(1), text);
    }
    if (slot.is_null()) slot.emplace_object();
    if (!slot.is_object()) return false;
    const Node* object = arm(node, ValueKind::object);
    return place(slot.get_object()[rest.front()], member(object, rest.front()), rest.subspan(1), text);
  }

  bool place_here(json::value& slot, const Node* node, std::string_view text) {
    if (node != nullptr && node->kind == Kind::array) {
      if (slot.is_null()) slot.emplace_array();
      if (!slot.is_array()) return false;
      slot.get_array().push_back(read_scalar(&node_at(node->inner), text));
      return true;
    }
    if (!slot.is_null()) return false;
    slot = read_scalar(node, text);
    return true;
  }

  const Node* member(const Node* object, std::string_view name) const {
    if (object == nullptr) return nullptr;
    if (object->kind == Kind::map) return &node_at(object->inner);
    if (object->kind != Kind::object) return nullptr;
    const Field* field = validator_.find_field(*object, name);
    return field != nullptr ? &node_at(field->node) : nullptr;
  }

  json::value read_scalar(const Node* node, std::string_view text) const {
    const json::string as_text(text);
    if (node == nullptr) return as_text;
    switch (node->kind) {
      case Kind::integer:
        if (auto number = read_number<std::int64_t>(text)) return *number;
        return as_text;
      case Kind::number:
        if (auto number = read_number<std::int64_t>(text)) return *number;
        if (auto number = read_number<double>(text); number && std::isfinite(*number)) return *number;
        return as_text;
      case Kind::boolean:
        if (text == "true" || text == "1") return true;
        if (text == "false" || text == "0") return false;
        return as_text;
      case Kind::by_kind:
        for (ValueKind kind : {ValueKind::number, ValueKind::boolean}) {
          const Node* candidate = arm(node, kind);
          if (candidate == nullptr) continue;
          json::value read = read_scalar(candidate, text);
          if (!read.is_string()) return read;
        }
        return as_text;
      case Kind::object:
      case Kind::map:
      case Kind::by_field:  // in a form, an object may be written as JSON
        if (text.starts_with('{')) {
          if (auto parsed = json::parse(text)) return std::move(*parsed);
        }
        return as_text;
      default:
        return as_text;
    }
  }

  const Validator& validator_;
  SchemaId schema_;
  json::object result_;
};

json::object object_or_throw(ParameterResult result) {
  if (!result) throw to_error(std::move(result.error()));
  return std::move(*result);
}

}  // namespace

ParameterResult read_query(const Validator& validator, SchemaId schema, std::string_view query) {
  Builder builder(validator, schema);
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
    if (auto violation = builder.add(*name, *value)) return std::unexpected(std::move(*violation));
  }
  return builder.finish(Strictness::request);
}

ParameterResult read_form(const Validator& validator, SchemaId schema, std::span<const FormPart> parts) {
  Builder builder(validator, schema);
  for (const FormPart& part : parts) {
    if (auto violation = builder.add(part.name, part.value)) return std::unexpected(std::move(*violation));
  }
  return builder.finish(Strictness::request);
}

json::object read_query(const Validator& validator, const Operation& operation, std::string_view query) {
  return object_or_throw(read_query(validator, operation.query_fields, query));
}

json::object read_path(const Validator& validator, const Route& route) {
  Builder builder(validator, route.operation->path_fields);
  for (std::size_t i = 0; i < route.path_values.size(); ++i) {
    if (auto violation = builder.add(route.operation->path_names[i], route.path_values[i])) {
      throw to_error(std::move(*violation));
    }
  }
  return object_or_throw(builder.finish(Strictness::request));
}

json::object read_form(const Validator& validator, const Operation& operation,
                       std::span<const FormPart> parts) {
  return object_or_throw(read_form(validator, operation.body, parts));
}

}  // namespace hearth::contract
