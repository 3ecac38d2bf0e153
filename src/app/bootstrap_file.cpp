#include "app/bootstrap_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "json/json.hpp"

namespace hearth::app {
namespace {

[[noreturn]] void fail(const std::string& path, std::string_view step) {
  const int cause = errno;
  throw std::runtime_error(fmt::format("{}: {}: {}", path, step, std::strerror(cause)));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// A file of its own name beside the target; removed unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string target) : target_(std::move(target)), path_(target_ + ".XXXXXX") {
    // mkostemp creates with O_EXCL and mode 0600, whatever the umask would allow beyond that.
    fd_ = ::mkostemp(path_.data(), O_CLOEXEC);
    if (fd_ < 0) fail(target_, "cannot be created");
  }
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!renamed_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;

  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(fd_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail(target_, "cannot be written");
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fchmod(fd_, S_IRUSR | S_IWUSR) != 0) fail(target_, "cannot be made private");
    if (::fsync(fd_) != 0) fail(target_, "cannot be written");
  }

  void rename_to_target() {
    if (::rename(path_.c_str(), target_.c_str()) != 0) fail(target_, "cannot be put in place");
    renamed_ = true;
  }

 private:
  std::string target_;
  std::string path_;
  int fd_ = -1;
  bool renamed_ = false;
};

void sync_directory(const std::string& path) {
  const std::string directory = std::filesystem::absolute(path).parent_path().string();
  const FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) fail(directory, "cannot be synced");
}

}  // namespace

void write_bootstrap_file(const std::string& path, const BootstrapFacts& facts) {
  const json::object document{{"base_url", facts.base_url},     {"admin_key", facts.admin_key},
                              {"api_key", facts.api_key},       {"organization_id", facts.organization_id},
                              {"project_id", facts.project_id}, {"default_model", facts.default_model}};
  TemporaryFile file(path);
  file.write(json::write(document) + "\n");
  file.rename_to_target();
  sync_directory(path);
}

}  // namespace hearth::app
