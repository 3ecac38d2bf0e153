// As what a request counts in the usage of its project.
#pragma once

#include <cstdint>

namespace hearth::contract {

// The order is that of the tables of usage.
enum class UsageKind : std::uint8_t {
  completions,
  embeddings,
  moderations,
  images,
  audio_speeches,
  audio_transcriptions,
  code_interpreter_sessions,
};

}  // namespace hearth::contract
