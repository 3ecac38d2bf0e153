// Text into speech.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "async/task.hpp"

namespace hearth::engine {

class CallContext;

struct SpeechRequest {
  std::string text;
  std::string voice;         // a name that the engine knows
  std::string instructions;  // how to speak; empty: as the voice does
  double speed = 1;          // 2 is twice as fast
};

// Destroying it early stops the engine's work.
class SpeechStream {
 public:
  virtual ~SpeechStream() = default;
  // Samples per second of the one channel; fixed from the beginning.
  virtual int sample_rate() const = 0;
  // The next samples; empty at the regular end. They are valid until the next call. Throws ApiError when the
  // engine fails.
  virtual Task<std::span<const std::int16_t>> next() = 0;
};

class SpeechEngine {
 public:
  virtual ~SpeechEngine() = default;
  // Containers and codecs are the caller's matter.
  virtual Task<std::unique_ptr<SpeechStream>> speak(SpeechRequest request, CallContext& call) = 0;
};

}  // namespace hearth::engine
