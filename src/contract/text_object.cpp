#include "contract/text_object.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

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

}  // namespace

TextObject::Place TextObject::find(std::string_view name) const {
  const auto parts = split_name(name);
  const Node* node = find_field_node(parts.front());
  for (std::string_view part : std::span(parts).subspan(1))
    node = is_item(node, part) ? item(node) : member(arm(node, ValueKind::object), part);
  if (node != nullptr && node->kind == Kind::array) node = item(node);
  const Node* text = arm(node, ValueKind::string);
  return {parts.front(), text != nullptr ? text : node};
}

std::optional<Violation> TextObject::judge_name(std::string_view name, const Place& place) const {
  if (place.node != nullptr) return std::nullopt;
  TextObject alone(validator_, schema_);
  if (auto violation = alone.add(name, "")) return violation;
  ParameterResult read = alone.finish();
  if (read || read.error().code == code::missing) return std::nullopt;
  return std::move(read.error());
}

std::optional<Violation> TextObject::add(std::string_view name, std::string_view text) {
  const auto parts = split_name(name);
  const Node* node = find_field_node(parts.front());
  if (node == nullptr) {
    result_[parts.front()] = json::string(text);
    return std::nullopt;
  }
  if (place(result_[parts.front()], node, std::span(parts).subspan(1), text)) return std::nullopt;
  return Violation{std::string(name), code::value,
                   fmt::format("'{}' is given more than once, or in two forms.", name)};
}

ParameterResult TextObject::finish(std::vector<std::string>* ignored) {
  json::value whole(std::move(result_));
  if (auto violation = validator_.validate(schema_, whole, Strictness::request, ignored)) {
    return std::unexpected(std::move(*violation));
  }
  validator_.apply_defaults(schema_, whole.get_object());
  return std::move(whole.get_object());
}

// The arm of `node` for values of `kind`; the node itself where it has no arms; nullptr when no arm fits.
const Node* TextObject::arm(const Node* node, ValueKind kind) const {
  if (node == nullptr || node->kind != Kind::by_kind) return node;
  const std::uint16_t index = validator_.tables().arms[node->first + static_cast<std::size_t>(kind)];
  return index != no_node ? &node_at(index) : nullptr;
}

// The array that `node` is or can be.
const Node* TextObject::list(const Node* node) const {
  const Node* found = arm(node, ValueKind::array);
  return found != nullptr && found->kind == Kind::array ? found : nullptr;
}

const Node* TextObject::item(const Node* node) const {
  const Node* array = list(node);
  return array != nullptr ? &node_at(array->inner) : nullptr;
}

const Node* TextObject::member(const Node* object, std::string_view name) const {
  if (object == nullptr) return nullptr;
  if (object->kind == Kind::map) return &node_at(object->inner);
  if (object->kind != Kind::object) return nullptr;
  const Field* field = validator_.find_field(*object, name);
  return field != nullptr ? &node_at(field->node) : nullptr;
}

// Whether the name in brackets behind a value of type `node` stands for an item of it.
bool TextObject::is_item(const Node* node, std::string_view name) const {
  return name.empty() || (list(node) != nullptr && read_number<unsigned>(name).has_value());
}

const Node* TextObject::find_field_node(std::string_view name) const {
  const Field* field = validator_.find_field(validator_.node(schema_), name);
  return field != nullptr ? &node_at(field->node) : nullptr;
}

// Puts `text` below `slot`, where `rest` of the name leads to; false when something is there already.
bool TextObject::place(json::value& slot, const Node* node, std::span<const std::string_view> rest,
                       std::string_view text) {
  if (rest.empty()) return place_here(slot, node, text);
  if (is_item(node, rest.front())) {
    if (slot.is_null()) slot.emplace_array();
    if (!slot.is_array()) return false;
    return place(slot.get_array().emplace_back(nullptr), item(node), rest.subspan(1), text);
  }
  if (slot.is_null()) slot.emplace_object();
  if (!slot.is_object()) return false;
  const Node* inner = member(arm(node, ValueKind::object), rest.front());
  return place(slot.get_object()[rest.front()], inner, rest.subspan(1), text);
}

bool TextObject::place_here(json::value& slot, const Node* node, std::string_view text) {
  if (node != nullptr && node->kind == Kind::array) {
    if (slot.is_null()) slot.emplace_array();
    if (!slot.is_array()) return false;
    slot.get_array().push_back(read_scalar(item(node), text));
    return true;
  }
  if (slot.is_null()) {
    slot = read_scalar(node, text);
    return true;
  }
  // Where one value or an array is allowed, repetition means the array.
  const Node* array = node != nullptr && node->kind == Kind::by_kind ? list(node) : nullptr;
  if (array == nullptr || slot.is_object()) return false;
  if (!slot.is_array()) {
    json::value first = std::move(slot);
    slot.emplace_array().push_back(std::move(first));
  }
  slot.get_array().push_back(read_scalar(item(node), text));
  return true;
}

json::value TextObject::read_scalar(const Node* node, std::string_view text) const {
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
    case Kind::by_field:  // an object may be written as JSON
      if (text.starts_with('{')) {
        if (auto parsed = json::parse(text)) return std::move(*parsed);
      }
      return as_text;
    default:
      return as_text;
  }
}

}  // namespace hearth::contract
