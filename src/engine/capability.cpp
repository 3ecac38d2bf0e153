#include "engine/capability.hpp"

#include <algorithm>

namespace hearth::engine {

std::string_view capability_name(Capability capability) {
  return capability_names[static_cast<std::size_t>(capability)];
}

std::optional<Capability> parse_capability(std::string_view name) {
  const auto found = std::ranges::find(served_capability_names, name);
  if (found == served_capability_names.end()) return std::nullopt;
  return static_cast<Capability>(found - served_capability_names.begin());
}

}  // namespace hearth::engine
