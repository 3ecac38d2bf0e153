// What a model can be asked for.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <span>
#include <string_view>

namespace hearth::engine {

// The tasks of tasks.hpp, and what is special within them (vision and tools of a chat, infill of a
// completion).
enum class Capability {
  chat,
  completion,
  embedding,
  vision,
  tools,
  infill,
  transcription,
  speech,
  image,
  classification,
};

// As definitions write them, in the order of the enumerators.
inline constexpr std::array<std::string_view, 10> capability_names{
    "chat",   "completion",    "embedding", "vision", "tools",
    "infill", "transcription", "speech",    "image",  "classification"};
// Those that an engine of today has: what a definition may claim.
inline constexpr auto served_capability_names = std::span<const std::string_view>(capability_names).first(6);

std::string_view capability_name(Capability capability);
// nullopt for a name that no definition may claim.
std::optional<Capability> parse_capability(std::string_view name);

}  // namespace hearth::engine
