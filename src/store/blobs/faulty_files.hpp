// For tests: files on which anything may go wrong at any step, and a disk that forgets what was not
// synchronised when the power goes.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "store/blobs/file_calls.hpp"

namespace hearth::store {

// A step is a call that changes something. Thread: any; the settings before the first call.
class FaultyFiles final : public FileCalls {
 public:
  std::size_t largest_write = std::numeric_limits<std::size_t>::max();
  std::size_t largest_read = std::numeric_limits<std::size_t>::max();
  std::optional<std::uint64_t> room;       // bytes until the disk is full
  std::optional<std::uint64_t> fails_at;   // that step fails, once
  std::optional<std::uint64_t> killed_at;  // from that step on nothing happens: there is nobody left
  int error = EIO;
  std::optional<int> read_error;

  std::uint64_t steps() const {
    std::lock_guard lock(mutex_);
    return steps_;
  }

  int open(const std::string& path, int flags, mode_t mode) override {
    std::lock_guard lock(mutex_);
    if ((flags & O_CREAT) != 0 && !step()) return -1;
    const int file = FileCalls::open(path, flags, mode);
    if (file >= 0) paths_[file] = path;
    if (file >= 0 && (flags & O_CREAT) != 0) synced_bytes_[path] = 0;
    return file;
  }
  ssize_t write(int file, const char* bytes, std::size_t size) override {
    std::lock_guard lock(mutex_);
    if (!step()) return -1;
    size = std::min(size, largest_write);
    if (room) {
      if (*room == 0) {
        errno = ENOSPC;
        return -1;
      }
      size = std::min<std::uint64_t>(size, *room);
      *room -= size;
    }
    return FileCalls::write(file, bytes, size);
  }
  ssize_t read_at(int file, char* bytes, std::size_t size, off_t offset) override {
    if (read_error) {
      errno = *read_error;
      return -1;
    }
    return FileCalls::read_at(file, bytes, std::min(size, largest_read), offset);
  }
  int sync(int file) override {
    std::lock_guard lock(mutex_);
    if (!step()) return -1;
    const std::string& path = paths_[file];
    struct stat status{};
    ::fstat(file, &status);
    if (S_ISDIR(status.st_mode)) {
      const auto is_inside = [&](const std::string& name) {
        return std::filesystem::path(name).parent_path() == path;
      };
      std::erase_if(renames_, [&](const Rename& rename) { return is_inside(rename.to); });
      std::erase_if(folders_, is_inside);
    } else {
      synced_bytes_[path] = static_cast<std::uint64_t>(status.st_size);
    }
    return 0;  // the machine's own disk need not be waited for
  }
  int close(int file) override {
    std::lock_guard lock(mutex_);
    paths_.erase(file);
    return FileCalls::close(file);
  }
  int rename(const std::string& from, const std::string& to) override {
    std::lock_guard lock(mutex_);
    if (!step()) return -1;
    if (FileCalls::rename(from, to) != 0) return -1;
    renames_.push_back({from, to});
    synced_bytes_[to] = synced_bytes_[from];
    synced_bytes_.erase(from);
    return 0;
  }
  int remove(const std::string& path) override {
    std::lock_guard lock(mutex_);
    if (!step()) return -1;
    std::erase_if(renames_, [&](const Rename& rename) { return rename.to == path; });
    synced_bytes_.erase(path);
    return FileCalls::remove(path);
  }
  int make_folder(const std::string& path, mode_t mode) override {
    std::lock_guard lock(mutex_);
    if (!step()) return -1;
    const int result = FileCalls::make_folder(path, mode);
    if (result == 0) folders_.push_back(path);
    return result;
  }

  // Anything that was not synchronised may be lost.
  template <class Random>
  void cut_power(Random& random) {
    namespace fs = std::filesystem;
    std::lock_guard lock(mutex_);
    const auto coin = [&] { return random() % 2 == 0; };
    for (const auto& [path, synced] : synced_bytes_) {
      struct stat status{};
      if (::stat(path.c_str(), &status) != 0) continue;
      const auto size = static_cast<std::uint64_t>(status.st_size);
      if (size <= synced) continue;
      const std::uint64_t kept = synced + random() % (size - synced + 1);
      (void)!::truncate(path.c_str(), static_cast<off_t>(kept));
      if (coin()) (void)!::truncate(path.c_str(), static_cast<off_t>(size));  // zeros in place of the rest
    }
    for (auto rename = renames_.rbegin(); rename != renames_.rend(); ++rename) {
      if (coin()) std::rename(rename->to.c_str(), rename->from.c_str());
    }
    for (const std::string& folder : folders_) {
      if (coin()) fs::remove_all(folder);
    }
  }

 private:
  struct Rename {
    std::string from;
    std::string to;
  };

  // False when this step does not happen.
  bool step() {
    const std::uint64_t number = steps_++;
    if (killed_at && number >= *killed_at) {
      errno = EIO;
      return false;
    }
    if (fails_at && number == *fails_at) {
      errno = error;
      return false;
    }
    return true;
  }

  mutable std::mutex mutex_;
  std::uint64_t steps_ = 0;
  std::map<int, std::string> paths_;                   // of open files
  std::map<std::string, std::uint64_t> synced_bytes_;  // of files that were written here
  std::vector<Rename> renames_;                        // whose folder was not synchronised since
  std::vector<std::string> folders_;                   // made, and theirs was not
};

}  // namespace hearth::store
