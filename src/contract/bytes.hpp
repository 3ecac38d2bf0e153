// Bytes of any size on their way in and out, piece by piece. The contract knows no store and no connection:
// the API says where files of forms go (FileIntake), a handler says where the bytes of its reply come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "async/task.hpp"
#include "base/clock.hpp"
#include "base/id.hpp"

namespace hearth::contract {

// Bytes of a known number that can be read anywhere. Thread: the session's, one call at a time. What it
// throws before the first byte of a reply is an ordinary error; later the reply is cut off.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;
  // Some of the bytes from `offset` on, at least one unless that is the end.
  virtual Task<std::size_t> read(std::uint64_t offset, std::span<char> out) = 0;
};

// Where bytes go that are still being made. send() waits until the client took them, so a slow client slows
// the producer. Thread: the session's.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Task<void> send(std::string_view bytes) = 0;
};

// Cancelled when the client leaves, where the operation says so. What it throws before it has sent anything
// is an ordinary error; later the reply is cut off, so that no client takes it for complete.
using ByteProducer = std::move_only_function<Task<void>(ByteSink&)>;

// A file that has come whole. Nobody else knows of it: gone with this object unless it was kept.
class FileContent : public ByteSource {
 public:
  // Returns when it will survive whatever happens; then it is named in a row, or removed as an orphan some
  // time later. Once.
  virtual Task<BlobId> keep() = 0;
};

// A file of a form, as a handler gets it.
struct IncomingFile {
  std::string field;
  std::string file_name;     // as sent: not a path to trust; empty where the part named none
  std::string content_type;  // as sent; empty where the part named none
  std::string sha256;        // hexadecimal
  std::unique_ptr<FileContent> content;
};

// Takes the bytes of one file while they come. Destroyed without finish(), nothing of them remains. Thread:
// the session's. Throws ApiError 507 when there is no room for them, 503 when the storage cannot be reached.
class FileSink {
 public:
  virtual ~FileSink() = default;
  virtual Task<void> write(std::string_view bytes) = 0;
  struct Finished {
    std::string sha256;
    std::unique_ptr<FileContent> content;
  };
  virtual Task<Finished> finish() = 0;
};

// Where files of forms go. Thread: any.
class FileIntake {
 public:
  virtual ~FileIntake() = default;
  virtual Task<std::unique_ptr<FileSink>> open() = 0;
};

}  // namespace hearth::contract
