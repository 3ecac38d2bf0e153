#include "contract/wording.hpp"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"

namespace hearth::contract::wording {
namespace {

constexpr std::size_t longest_name = 96;
constexpr std::size_t longest_value = 64;

void collect_expected(const SchemaTables& tables, const Node& node, std::vector<std::string>& words) {
  auto add = [&](std::string word) {
    if (std::ranges::find(words, word) == words.end()) words.push_back(std::move(word));
  };
  if (node.flags & node_flag::has_enum) {
    add(fmt::format("one of {}", listed(tables, node)));
    return;
  }
  switch (node.kind) {
    case Kind::any:
      return add("any value");
    case Kind::null:
      return add("null");
    case Kind::boolean:
      return add("a boolean");
    case Kind::integer:
      return add("an integer");
    case Kind::number:
      return add("a number");
    case Kind::string:
      return add("a string");
    case Kind::array: {
      const Node& item = tables.nodes[node.inner];
      const bool scalar = item.kind >= Kind::boolean && item.kind <= Kind::string;
      return add(scalar ? fmt::format("an array of {}s", item.kind == Kind::boolean   ? "boolean"
                                                         : item.kind == Kind::integer ? "integer"
                                                         : item.kind == Kind::number  ? "number"
                                                                                      : "string")
                        : "an array");
    }
    case Kind::object:
    case Kind::map:
    case Kind::by_field:
      return add("an object");
    case Kind::by_kind:
    case Kind::first_of:
      for (std::uint16_t arm : tables.arms.subspan(node.first, node.count)) {
        if (arm != no_node) collect_expected(tables, tables.nodes[arm], words);
      }
  }
}

}  // namespace

std::string path(const Walk::Step* at) {
  std::vector<const Walk::Step*> steps;
  for (; at != nullptr; at = at->up)
    steps.push_back(at);
  std::string result;
  for (const Walk::Step* step : steps | std::views::reverse) {
    if (step->name.data() == nullptr) {
      fmt::format_to(std::back_inserter(result), "[{}]", step->index);
    } else {
      if (!result.empty()) result += '.';
      result += text::truncate_utf8(step->name, longest_name);
    }
  }
  return result;
}

std::string subject(const Walk::Step* at) {
  return at == nullptr ? "The value as a whole" : fmt::format("'{}'", path(at));
}

std::string expected(const SchemaTables& tables, const Node& node) {
  std::vector<std::string> words;
  collect_expected(tables, node, words);
  if (node.flags & node_flag::nullable) words.emplace_back("null");
  std::string result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) result += i + 1 == words.size() ? " or " : ", ";
    result += words[i];
  }
  return result;
}

std::string_view got(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
      return "an integer";
    case json::kind::double_:
      return "a decimal number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return value.get_array().empty() ? "an empty array" : "an array";
    case json::kind::object:
      return "an object";
  }
  return "something else";
}

std::string quoted(std::string_view text) {
  const std::string_view shown = text::truncate_utf8(text, longest_value);
  return fmt::format("'{}{}'", shown, shown.size() < text.size() ? "…" : "");
}

std::string listed(const SchemaTables& tables, const Node& node) {
  std::string result;
  for (const EnumValue& value : tables.values.subspan(node.first, node.count)) {
    if (!result.empty()) result += ", ";
    if (value.kind == ValueKind::string) {
      fmt::format_to(std::back_inserter(result), "'{}'", value.text);
    } else {
      result += value.text;
    }
  }
  return result;
}

std::string number(double value) {
  return fmt::format("{}", value);
}

}  // namespace hearth::contract::wording
