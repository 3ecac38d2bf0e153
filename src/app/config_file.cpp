#include "app/config_file.hpp"

#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace hearth::app {
namespace {

std::string kind_name(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list of other things";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    default:
      return "another kind of value";
  }
}

Written read_value(const toml::node& node) {
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* array = node.as_array()) {
    std::vector<std::string> items;
    for (const toml::node& item : *array) {
      const auto* text = item.as_string();
      if (text == nullptr) return Foreign{kind_name(node.type())};
      items.push_back(text->get());
    }
    return items;
  }
  return Foreign{kind_name(node.type())};
}

// Recursion is bounded by the parser's own limit on nesting.
void collect(const toml::table& table, std::vector<std::string>& path, std::vector<FileEntry>& entries) {
  for (const auto& [key, node] : table) {
    path.emplace_back(key.str());
    const toml::table* inner = node.as_table();
    if (inner != nullptr && !inner->empty()) {
      collect(*inner, path, entries);
    } else {
      entries.push_back({path, read_value(node), key.source().begin.line});
    }
    path.pop_back();
  }
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  file.peek();  // a directory opens well and fails here
  if (!file.is_open() || file.bad()) throw ConfigError(fmt::format("{}: cannot be read", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::vector<FileEntry> read_config_file(const std::string& path) {
  const std::string text = read_text(path);
  try {
    const toml::table root = toml::parse(text, path);
    std::vector<FileEntry> entries;
    std::vector<std::string> prefix;
    collect(root, prefix, entries);
    return entries;
  } catch (const toml::parse_error& error) {
    throw ConfigError(fmt::format("{}:{}: {}", path, error.source().begin.line, error.description()));
  }
}

}  // namespace hearth::app
