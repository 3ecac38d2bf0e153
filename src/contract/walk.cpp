#include "contract/walk.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "contract/text_forms.hpp"
#include "contract/wording.hpp"

namespace hearth::contract {
namespace {

// Values are bounded by the parser; what we build ourselves is far below. This is for the case that neither
// holds.
constexpr int deepest = 256;

ValueKind kind_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return ValueKind::null;
    case json::kind::bool_:
      return ValueKind::boolean;
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return ValueKind::number;
    case json::kind::string:
      return ValueKind::string;
    case json::kind::array:
      return ValueKind::array;
    case json::kind::object:
      return ValueKind::object;
  }
  return ValueKind::null;
}

bool has(const Node& node, std::uint8_t flag) {
  return (node.flags & flag) != 0;
}

// Below, at, or above the bounds of `node`.
bool is_below(const Node& node, double size) {
  return has(node, node_flag::has_min) && size < node.min;
}
bool is_above(const Node& node, double size) {
  return has(node, node_flag::has_max) && size > node.max;
}

}  // namespace

bool Walk::check(std::uint16_t index, const json::value& value, const Step* at) {
  const Node& node = tables_.nodes[index];
  ++visited_;
  if (value.is_null() && has(node, node_flag::nullable)) return true;
  switch (node.kind) {
    case Kind::any:
      return true;
    case Kind::null:
      return value.is_null() || fail_type(node, value, at);
    case Kind::boolean:
      if (!value.is_bool()) return fail_type(node, value, at);
      return !has(node, node_flag::has_enum) || check_listed(node, value.get_bool() ? "true" : "false", at);
    case Kind::integer:
    case Kind::number:
      return check_number(node, value, at);
    case Kind::string:
      return check_string(node, value, at);
    case Kind::array:
      return check_array(node, value, at);
    case Kind::object:
      return check_object(node, value, at);
    case Kind::map:
      return check_map(node, value, at);
    case Kind::by_kind:
      return check_by_kind(node, value, at);
    case Kind::by_field:
      return check_by_field(node, value, at);
    case Kind::first_of:
      return check_first_of(node, value, at);
  }
  return false;
}

bool Walk::check_number(const Node& node, const json::value& value, const Step* at) {
  constexpr double int64_end = 9223372036854775808.0;  // one above the greatest
  const bool whole_wanted = node.kind == Kind::integer;
  double number = 0;
  bool fits = true;  // into an int64, where a whole number is wanted
  if (value.is_int64()) {
    number = static_cast<double>(value.get_int64());
  } else if (value.is_uint64()) {
    number = static_cast<double>(value.get_uint64());
    fits = value.get_uint64() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  } else if (value.is_double()) {
    number = value.get_double();
    if (!std::isfinite(number)) {
      if (report_ == Report::quiet) return false;
      return fail(code::value, at, fmt::format("{} must be a finite number.", wording::subject(at)));
    }
    if (whole_wanted && number != std::trunc(number)) return fail_type(node, value, at);
    fits = number >= -int64_end && number < int64_end;
  } else {
    return fail_type(node, value, at);
  }
  if (has(node, node_flag::has_enum)) return check_listed_number(node, number, at);
  const bool overflows = whole_wanted && !fits;
  const bool too_low = is_below(node, number) || (overflows && number < 0);
  const bool too_high = is_above(node, number) || (overflows && number > 0);
  if (!too_low && !too_high) return true;
  if (report_ == Report::quiet) return false;
  const double bound = too_low ? (has(node, node_flag::has_min) ? node.min : -int64_end)
                               : (has(node, node_flag::has_max) ? node.max : int64_end - 1);
  const std::string_view code = whole_wanted ? (too_low ? code::integer_below_min : code::integer_above_max)
                                             : (too_low ? code::decimal_below_min : code::decimal_above_max);
  return fail(
      code, at,
      fmt::format("{} is {}, which is {} the {} of {}.", wording::subject(at), wording::number(number),
                  too_low ? "below" : "above", too_low ? "minimum" : "maximum", wording::number(bound)));
}

bool Walk::check_string(const Node& node, const json::value& value, const Step* at) {
  if (!value.is_string()) return fail_type(node, value, at);
  const std::string_view text = json::view(value.get_string());
  if (has(node, node_flag::has_enum)) return check_listed(node, text, at);
  return check_text(node, text, at);
}

bool Walk::check_text(const Node& node, std::string_view text, const Step* at) {
  // Bytes bound code points from above and from below (four to one), so most texts need no counting.
  const auto bytes = static_cast<double>(text.size());
  const bool may_be_short = has(node, node_flag::has_min) && bytes < node.min * 4;
  const bool may_be_long = is_above(node, bytes);
  if (may_be_short || may_be_long) {
    const std::size_t length = text::count_code_points(text);
    const bool too_short = is_below(node, static_cast<double>(length));
    if (too_short || is_above(node, static_cast<double>(length))) {
      if (report_ == Report::quiet) return false;
      return fail(
          too_short ? code::string_below_min : code::string_above_max, at,
          fmt::format("{} is {} characters long; it must have {} {}.", wording::subject(at), length,
                      too_short ? "at least" : "at most", wording::number(too_short ? node.min : node.max)));
    }
  }
  if (node.pattern != 0 && !matches(tables_.patterns[node.pattern], text)) {
    if (report_ == Report::quiet) return false;
    return fail(code::value, at,
                fmt::format("{} is {}, which does not match the pattern '{}'.", wording::subject(at),
                            wording::quoted(text), tables_.patterns[node.pattern].text));
  }
  if (node.format == Format::uri && !is_uri(text)) {
    if (report_ == Report::quiet) return false;
    return fail(code::value, at,
                fmt::format("{} must be a URL, got {}.", wording::subject(at), wording::quoted(text)));
  }
  if (node.format == Format::base64 && !is_base64(text)) {
    if (report_ == Report::quiet) return false;
    return fail(code::value, at, fmt::format("{} must be base64 with padding.", wording::subject(at)));
  }
  return true;
}

bool Walk::check_array(const Node& node, const json::value& value, const Step* at) {
  const json::array* items = value.if_array();
  if (items == nullptr) return fail_type(node, value, at);
  const auto size = static_cast<double>(items->size());
  const bool too_short = is_below(node, size);
  if (too_short || is_above(node, size)) {
    if (report_ == Report::quiet) return false;
    const std::string_view code = !too_short       ? code::array_above_max
                                  : items->empty() ? code::empty_array
                                                   : code::array_below_min;
    return fail(
        code, at,
        fmt::format("{} has {} items; it must have {} {}.", wording::subject(at), items->size(),
                    too_short ? "at least" : "at most", wording::number(too_short ? node.min : node.max)));
  }
  if (++depth_ > deepest) return fail(code::value, at, "The value is nested too deeply.");
  Step step{at, {}, 0};
  for (const json::value& item : *items) {
    if (!check(node.inner, item, &step)) return false;
    ++step.index;
  }
  --depth_;
  return true;
}

bool Walk::check_object(const Node& node, const json::value& value, const Step* at) {
  const json::object* object = value.if_object();
  if (object == nullptr) return fail_type(node, value, at);
  if (++depth_ > deepest) return fail(code::value, at, "The value is nested too deeply.");
  std::uint64_t seen = 0;
  for (const auto& member : *object) {
    const std::string_view name(member.key().data(), member.key().size());
    const Step step{at, name, 0};
    const Field* field = validator_.find_field(node, name);
    if (field == nullptr) {
      if (node.inner == no_node) return fail_unknown(node, &step);
      if (!check(node.inner, member.value(), &step)) return false;
      continue;
    }
    const auto index = static_cast<std::size_t>(field - &tables_.fields[node.first]);
    if (index < node.required) seen |= std::uint64_t{1} << index;
    if (!check(field->node, member.value(), &step)) return false;
    if (strictness_ == Strictness::reply || member.value().is_null()) continue;
    if ((field->flags & field_flag::ignored) != 0) note_ignored(&step);
    if (field->requires_field == no_field) continue;
    const std::string_view other = tables_.fields[node.first + field->requires_field].name;
    if (const json::value* found = object->if_contains(other); found == nullptr || found->is_null()) {
      if (report_ == Report::quiet) return false;
      const Step needed{at, other, 0};
      return fail(code::value, &step,
                  fmt::format("{} is only allowed together with {}.", wording::subject(&step),
                              wording::subject(&needed)));
    }
  }
  --depth_;
  const std::uint64_t all = node.required == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << node.required) - 1;
  if (seen == all) return node.one_of_count == 0 || check_one_of(node, *object, at);
  const auto first_missing = static_cast<std::size_t>(std::countr_one(seen));
  const Step missing{at, tables_.fields[node.first + first_missing].name, 0};
  return fail_missing(&missing);
}

// Null counts as absent here.
bool Walk::check_one_of(const Node& node, const json::object& object, const Step* at) {
  const auto choices = tables_.one_of.subspan(node.one_of, node.one_of_count);
  const auto name_of = [&](std::uint8_t index) { return tables_.fields[node.first + index].name; };
  std::size_t given = 0;
  Step second{at, {}, 0};
  for (std::uint8_t index : choices) {
    const json::value* value = object.if_contains(name_of(index));
    if (value != nullptr && !value->is_null() && ++given == 2) second.name = name_of(index);
  }
  if (given == 1) return true;
  if (report_ == Report::quiet) return false;
  std::string all;
  for (std::uint8_t index : choices) {
    const Step step{at, name_of(index), 0};
    fmt::format_to(std::back_inserter(all), "{}{}", all.empty() ? "" : ", ", wording::subject(&step));
  }
  if (given > 1) {
    return fail(code::exclusive, &second, fmt::format("Only one of these parameters may be given: {}.", all));
  }
  const Step first{at, name_of(choices.front()), 0};
  return fail(code::missing, &first, fmt::format("One of these parameters is required: {}.", all));
}

bool Walk::check_map(const Node& node, const json::value& value, const Step* at) {
  const json::object* object = value.if_object();
  if (object == nullptr) return fail_type(node, value, at);
  const auto size = static_cast<double>(object->size());
  const bool too_few = is_below(node, size);
  if (too_few || is_above(node, size)) {
    if (report_ == Report::quiet) return false;
    return fail(
        too_few ? code::object_below_min : code::object_above_max, at,
        fmt::format("{} has {} members; it must have {} {}.", wording::subject(at), object->size(),
                    too_few ? "at least" : "at most", wording::number(too_few ? node.min : node.max)));
  }
  if (++depth_ > deepest) return fail(code::value, at, "The value is nested too deeply.");
  for (const auto& member : *object) {
    const std::string_view name(member.key().data(), member.key().size());
    const Step step{at, name, 0};
    if (node.key_max != 0 && name.size() > node.key_max && text::count_code_points(name) > node.key_max) {
      if (report_ == Report::quiet) return false;
      return fail(code::key_above_max, at,
                  fmt::format("{} has the name {}, which is longer than {} characters.", wording::subject(at),
                              wording::quoted(name), node.key_max));
    }
    if (!check(node.inner, member.value(), &step)) return false;
  }
  --depth_;
  return true;
}

bool Walk::check_by_kind(const Node& node, const json::value& value, const Step* at) {
  const std::uint16_t arm = tables_.arms[node.first + static_cast<std::size_t>(kind_of(value))];
  return arm != no_node ? check(arm, value, at) : fail_type(node, value, at);
}

bool Walk::check_by_field(const Node& node, const json::value& value, const Step* at) {
  const json::object* object = value.if_object();
  if (object == nullptr) return fail_type(node, value, at);
  const Step step{at, node.name, 0};
  const json::value* tag = object->if_contains(node.name);
  if (tag == nullptr) return node.absent != no_node ? check(node.absent, value, at) : fail_missing(&step);
  const auto choices = tables_.choices.subspan(node.first, node.count);
  if (const json::string* text = tag->if_string()) {
    const std::string_view wanted = json::view(*text);
    for (const Choice& choice : choices) {
      if (choice.text == wanted) return check(choice.node, value, at);
    }
  }
  if (node.inner != no_node) return check(node.inner, value, at);
  if (report_ == Report::quiet) return false;
  std::string supported;
  for (const Choice& choice : choices) {
    fmt::format_to(std::back_inserter(supported), "{}'{}'", supported.empty() ? "" : ", ", choice.text);
  }
  if (!tag->is_string()) {
    return fail(code::type, &step,
                fmt::format("{} has the wrong type: expected one of {}, got {}.", wording::subject(&step),
                            supported, wording::got(*tag)));
  }
  return fail(code::value, &step,
              fmt::format("{} cannot be {}. Supported values are: {}.", wording::subject(&step),
                          wording::quoted(json::view(tag->get_string())), supported));
}

// Tries the arms without a report; if none fits, the arm that came furthest speaks for all. The generator
// refuses unions of this kind that contain themselves, so the work is bounded by the value's size.
bool Walk::check_first_of(const Node& node, const json::value& value, const Step* at) {
  const auto arms = tables_.arms.subspan(node.first, node.count);
  const Report wanted = std::exchange(report_, Report::quiet);
  const std::size_t ignored_before = ignored_ != nullptr ? ignored_->size() : 0;
  const int depth_before = depth_;
  std::uint16_t furthest = arms[0];
  std::size_t distance = 0;
  bool all_stopped_here = true;
  for (std::uint16_t arm : arms) {
    const std::size_t start = visited_;
    if (check(arm, value, at)) {
      report_ = wanted;
      return true;
    }
    depth_ = depth_before;
    if (ignored_ != nullptr) ignored_->resize(ignored_before);
    if (visited_ - start > distance) {
      distance = visited_ - start;
      furthest = arm;
    }
    all_stopped_here &= visited_ - start <= 1;
  }
  report_ = wanted;
  if (report_ == Report::quiet) return false;
  if (all_stopped_here && !value.is_object() && !value.is_array()) {
    return fail(code::value, at,
                fmt::format("{} must be {}.", wording::subject(at), wording::expected(tables_, node)));
  }
  return check(furthest, value, at);
}

bool Walk::check_listed(const Node& node, std::string_view text, const Step* at) {
  for (const EnumValue& value : tables_.values.subspan(node.first, node.count)) {
    if (value.text == text) return true;
  }
  return fail_value(node, text, at);
}

bool Walk::check_listed_number(const Node& node, double number, const Step* at) {
  for (const EnumValue& value : tables_.values.subspan(node.first, node.count)) {
    if (value.number == number) return true;
  }
  return report_ == Report::wanted && fail_value(node, wording::number(number), at);
}

void Walk::note_ignored(const Step* at) {
  if (ignored_ == nullptr) return;
  std::string& path = ignored_->emplace_back(wording::path(at));
  // The names end in a reply header, and those of a map are the client's own.
  std::ranges::replace_if(path, [](char c) { return c < 0x21 || c > 0x7E; }, '?');
}

bool Walk::fail(std::string_view code, const Step* at, std::string message) {
  violation = {wording::path(at), code, std::move(message)};
  return false;
}

bool Walk::fail_type(const Node& node, const json::value& value, const Step* at) {
  if (report_ == Report::quiet) return false;
  return fail(code::type, at,
              fmt::format("{} has the wrong type: expected {}, got {}.", wording::subject(at),
                          wording::expected(tables_, node), wording::got(value)));
}

bool Walk::fail_value(const Node& node, std::string_view shown, const Step* at) {
  if (report_ == Report::quiet) return false;
  return fail(code::value, at,
              fmt::format("{} cannot be {}. Supported values are: {}.", wording::subject(at),
                          wording::quoted(shown), wording::listed(tables_, node)));
}

bool Walk::fail_missing(const Step* at) {
  if (report_ == Report::quiet) return false;
  return fail(code::missing, at, fmt::format("The required parameter {} is missing.", wording::subject(at)));
}

bool Walk::fail_unknown(const Node& node, const Step* at) {
  if (report_ == Report::quiet) return false;
  std::vector<std::string_view> names;
  for (const Field& field : tables_.fields.subspan(node.first, node.count))
    names.push_back(field.name);
  // Distances are quadratic in the length: nothing that long was meant to be one of ours.
  const auto nearest = at->name.size() <= 64 ? text::nearest(at->name, names) : std::nullopt;
  return fail(code::unknown, at,
              fmt::format("There is no parameter {}.{}", wording::subject(at),
                          nearest ? fmt::format(" Did you mean '{}'?", *nearest) : ""));
}

}  // namespace hearth::contract
