// Downloads model files from a Hugging Face hub: with progress, resumed after interruptions, checked.
//
// A file is written as `<name>.part` beside `<name>.part.version`, which names the version that the part
// belongs to, and takes its own name only when length and checksum are right. An interrupted download goes on
// where it broke off, also in another process; a part of another version begins anew.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "async/task.hpp"

namespace hearth::engine {

// "hf:org/repo/file.gguf"; the file may lie in folders.
struct PullSource {
  std::string organization;
  std::string repository;
  std::string file;

  // The error says what is wrong with the text.
  static std::expected<PullSource, std::string> parse(std::string_view text);
};

struct PullSettings {
  std::filesystem::path cache;  // files go to <cache>/<organization>/<repository>/<file>
  std::string endpoint = "https://huggingface.co";
  std::string token;      // secret; sent to the endpoint's own host only
  std::string sha256;     // what the file must be; empty = what the hub says, where it says it
  unsigned attempts = 5;  // in a row without a byte gained
  std::chrono::milliseconds pause{1'000};  // after a failed attempt; doubled each time
};

struct PullProgress {
  std::uint64_t received = 0;  // of the whole file
  std::uint64_t total = 0;     // 0 = not known
  bool resumed = false;        // a part was there already
};

struct PulledFile {
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  std::string sha256;
  bool was_there = false;  // nothing had to be downloaded
};

// The message is for the person who asked: what happened and what to do.
struct PullError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Called by the command line, on a runtime of its own: it writes and hashes files on the calling thread.
// Cancellable at any point; the part stays. Throws PullError.
Task<PulledFile> pull_model(PullSource source, PullSettings settings,
                            std::function<void(const PullProgress&)> progress);

}  // namespace hearth::engine
