#include "store/blobs/file_calls.hpp"

#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hearth::store {

int FileCalls::open(const std::string& path, int flags, mode_t mode) {
  return ::open(path.c_str(), flags | O_CLOEXEC, mode);
}
ssize_t FileCalls::write(int file, const char* bytes, std::size_t size) {
  return ::write(file, bytes, size);
}
ssize_t FileCalls::read_at(int file, char* bytes, std::size_t size, off_t offset) {
  return ::pread(file, bytes, size, offset);
}
int FileCalls::sync(int file) {
  return ::fsync(file);
}
int FileCalls::close(int file) {
  return ::close(file);
}
int FileCalls::rename(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str());
}
int FileCalls::remove(const std::string& path) {
  return ::unlink(path.c_str());
}
int FileCalls::make_folder(const std::string& path, mode_t mode) {
  return ::mkdir(path.c_str(), mode);
}

FileCalls& FileCalls::system() {
  static FileCalls calls;
  return calls;
}

}  // namespace hearth::store
