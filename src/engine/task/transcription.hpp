// Speech into text.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.hpp"

namespace hearth::engine {

class CallContext;

struct TranscriptionRequest {
  enum class Into { same_language, english };
  static constexpr int sample_rate = 16'000;  // per second

  std::vector<float> samples;  // one channel, from -1 to 1
  Into into = Into::same_language;
  std::optional<std::string> language;  // ISO 639-1; none: the engine finds it out
  std::string prompt;                   // text before the audio, for style and names
  double temperature = 0;
};

struct TranscribedWord {
  std::string text;
  std::chrono::milliseconds start{0};
  std::chrono::milliseconds end{0};
};

// A stretch of speech, about a sentence. `text` begins with the space that separates it from the one before.
struct TranscribedSegment {
  std::string text;
  std::chrono::milliseconds start{0};
  std::chrono::milliseconds end{0};
  std::vector<TranscribedWord> words;
  std::vector<std::int64_t> tokens;
  double mean_logprob = 0;
  double no_speech = 0;  // probability that nobody speaks
};

// What is known at the end.
struct TranscriptionEnd {
  std::string language;  // ISO 639-1
  std::chrono::milliseconds duration{0};
};

// Destroying it early stops the engine's work.
class TranscriptStream {
 public:
  virtual ~TranscriptStream() = default;
  // The next segment, in the order of time; null at the regular end. It is valid until the next call. Throws
  // ApiError when the engine fails.
  virtual Task<const TranscribedSegment*> next() = 0;
  // Valid after the regular end.
  virtual const TranscriptionEnd& end() const = 0;
};

class TranscriptionEngine {
 public:
  virtual ~TranscriptionEngine() = default;
  virtual Task<std::unique_ptr<TranscriptStream>> transcribe(TranscriptionRequest request,
                                                             CallContext& call) = 0;
};

}  // namespace hearth::engine
