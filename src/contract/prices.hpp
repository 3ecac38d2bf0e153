// What a model costs.
#pragma once

#include <optional>

namespace hearth::contract {

// In the installation's currency. What has no price costs nothing, unless its price falls back to another.
struct Prices {
  // For a million tokens.
  std::optional<double> input;
  std::optional<double> cached_input;  // absent: as input
  std::optional<double> output;
  std::optional<double> audio_input;   // absent: as input
  std::optional<double> audio_output;  // absent: as output
  std::optional<double> image;         // for one
  std::optional<double> characters;    // for a million, spoken
  std::optional<double> minute;        // of audio, transcribed

  bool operator==(const Prices&) const = default;
};

}  // namespace hearth::contract
