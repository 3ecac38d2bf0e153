// What a request has used so far, as the engines told.
#pragma once

#include <cstdint>
#include <string>

#include "contract/prices.hpp"

namespace hearth::contract {

// How a request came: batches have prices of their own.
enum class Delivery : std::uint8_t { direct, batch };

// Filled by domain/ while the request runs, read by the pipeline when it has ended, however it ended: for the
// limits, the usage and the metrics. Over all choices. Thread: the session's.
struct Used {
  std::string model;  // the catalogue's id, whatever alias the client asked for; empty: none was reached
  std::int64_t requests = 0;      // 1 once an engine was asked
  std::int64_t input_tokens = 0;  // cached ones and those of audio among them
  std::int64_t cached_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t input_audio_tokens = 0;
  std::int64_t output_audio_tokens = 0;
  std::int64_t images = 0;
  std::string image_size;        // "1024x1024"
  std::int64_t characters = 0;   // spoken
  std::int64_t seconds = 0;      // transcribed
  std::int64_t audio_bytes = 0;  // received
  Delivery delivery = Delivery::direct;
  Prices prices;  // the model's, when it was reached
};

}  // namespace hearth::contract
