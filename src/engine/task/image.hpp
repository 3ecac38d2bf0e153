// Text, and other images, into images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/task.hpp"

namespace hearth::engine {

class CallContext;

// Rows from the top, four bytes to a pixel: red, green, blue, alpha (255 is opaque).
struct Image {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::vector<std::uint8_t> pixels;  // width * height * 4
};

struct ImageRequest {
  std::string prompt;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::size_t count = 1;
  std::vector<Image> sources;  // what is edited or varied; empty: from the prompt alone
  std::optional<Image> mask;   // as large as the first source; where it is transparent, that may change
  std::optional<std::uint64_t> seed;
};

struct ImageDelta {
  enum class Stage { partial, complete };
  std::size_t index = 0;  // below ImageRequest::count
  Stage stage = Stage::complete;
  Image image;
};

// Destroying it early stops the engine's work.
class ImageStream {
 public:
  virtual ~ImageStream() = default;
  // The next image; null at the regular end, when each index was complete once. It is valid until the next
  // call. Throws ApiError when the engine fails.
  virtual Task<const ImageDelta*> next() = 0;
};

class ImageEngine {
 public:
  virtual ~ImageEngine() = default;
  virtual Task<std::unique_ptr<ImageStream>> draw(ImageRequest request, CallContext& call) = 0;
};

}  // namespace hearth::engine
