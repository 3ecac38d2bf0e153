#include "net/http.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace hearth::net {

std::string_view Headers::get(std::string_view name) const {
  for (const auto& [key, value] : entries_) {
    if (text::equals_ignore_case(key.view(), name)) return value;
  }
  return {};
}

bool Headers::contains(std::string_view name) const {
  return std::ranges::any_of(
      entries_, [&](const Entry& entry) { return text::equals_ignore_case(entry.first.view(), name); });
}

void Headers::set(std::string_view name, std::string value) {
  erase(name);
  add(std::string(name), std::move(value));
}

void Headers::erase(std::string_view name) {
  std::erase_if(entries_,
                [&](const Entry& entry) { return text::equals_ignore_case(entry.first.view(), name); });
}

}  // namespace hearth::net
