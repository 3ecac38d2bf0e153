// What the header of a GGUF file says about the model in it.
//
// The file may come from anywhere: every length is checked against what is left of the file before anything
// is read or allocated, so a hostile or truncated file gives an error and never a crash.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace hearth::engine {

struct GgufInfo {
  std::string architecture;  // "llama", "bert", "qwen3"
  std::string name;
  std::uint64_t file_bytes = 0;
  std::uint64_t parameters = 0;       // elements of all tensors
  std::uint32_t trained_context = 0;  // tokens
  std::uint32_t embedding_length = 0;
  std::uint32_t layers = 0;
  std::uint32_t vocabulary = 0;
  std::uint64_t cache_bytes_per_token = 0;  // keys and values of all layers at 16 bits
  std::string chat_template;                // Jinja; empty when the file has none
  std::string pooling;          // none | mean | cls | last | rank; empty when the file does not say
  bool fill_in_middle = false;  // has the tokens for text with a gap

  // The template has a place for tools.
  bool knows_tools() const { return chat_template.find("tools") != std::string::npos; }
  // Reads text into a vector and cannot generate.
  bool is_encoder() const;
};

// Blocks on the disk: call it on the blocking pool. The error is a sentence that names the file.
std::expected<GgufInfo, std::string> read_gguf_info(const std::string& path);

}  // namespace hearth::engine
