// Reading the members of a definition. Included by the specs of engines only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "json/json.hpp"

namespace hearth::engine {

inline std::string read_text(const json::object& definition, std::string_view name) {
  return std::string(json::find_string(definition, name).value_or(""));
}

inline std::uint32_t read_count(const json::object& definition, std::string_view name,
                                std::uint32_t otherwise) {
  return static_cast<std::uint32_t>(json::find_integer(definition, name).value_or(otherwise));
}

inline std::vector<std::string> read_texts(const json::object& definition, std::string_view name) {
  std::vector<std::string> out;
  if (const json::array* list = json::find_array(definition, name)) {
    for (const json::value& text : *list)
      out.emplace_back(json::view(text.as_string()));
  }
  return out;
}

inline json::array render_texts(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts)
    out.push_back(json::value(text));
  return out;
}

}  // namespace hearth::engine
