// The system calls by which the directory driver works, so that tests can put faults between the two.
//
// As the calls of that name: -1 and errno on failure, fewer bytes than asked for whenever it suits the
// system. Blocking. Thread: any.
#pragma once

#include <cstddef>
#include <string>
#include <sys/types.h>

namespace hearth::store {

class FileCalls {
 public:
  virtual ~FileCalls() = default;
  virtual int open(const std::string& path, int flags, mode_t mode);
  virtual ssize_t write(int file, const char* bytes, std::size_t size);
  virtual ssize_t read_at(int file, char* bytes, std::size_t size, off_t offset);
  // The contents of a file, or the names in a folder, are on the disk.
  virtual int sync(int file);
  virtual int close(int file);
  virtual int rename(const std::string& from, const std::string& to);
  virtual int remove(const std::string& path);
  virtual int make_folder(const std::string& path, mode_t mode);

  // Those of the system.
  static FileCalls& system();
};

}  // namespace hearth::store
