#include "store/blobs/directory_blobs.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <utility>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "store/blobs/blob_layout.hpp"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

constexpr mode_t private_file = 0600;
constexpr mode_t private_folder = 0700;
constexpr std::string_view drafts_folder = "drafts";
constexpr std::size_t folder_name_length = 2;
constexpr std::uint64_t no_block = ~std::uint64_t{0};

// What went wrong is for the operator; the client learns whether trying again may help.
[[noreturn]] void fail(std::string_view doing, std::string_view path, int cause) {
  log::error("blobs.failed", {{"doing", doing}, {"path", path}, {"reason", std::strerror(cause)}});
  if (cause == ENOSPC || cause == EDQUOT || cause == EFBIG) {
    throw ApiError(507, "server_error", "insufficient_storage",
                   "The server has no room left to store this. Please try again later.");
  }
  throw ApiError::unavailable("storage_unavailable",
                              "The server cannot reach its storage at the moment. Please try again.");
}

UnixSeconds unix_seconds(const struct stat& status) {
  return status.st_mtim.tv_sec;
}

bool is_folder_name(std::string_view name) {
  return name.size() == folder_name_length && std::ranges::all_of(name, is_id_character);
}

// The names in a folder, sorted; none when it does not exist.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure))
    names.push_back(entry->path().filename().string());
  if (failure && failure != std::errc::no_such_file_or_directory) fail("list", folder, failure.value());
  std::ranges::sort(names);
  return names;
}

}  // namespace

// An open file of a blob that is complete. Blocking: used on the pool, by one call at a time.
class DirectoryBlobs::File {
 public:
  File(FileCalls& calls, BlobId id, int descriptor)
      : calls_(calls), id_(std::move(id)), descriptor_(descriptor) {}
  ~File() { calls_.close(descriptor_); }
  File(const File&) = delete;

  const BlobId& id() const { return id_; }
  int descriptor() const { return descriptor_; }

  BlobInfo read_footer() const {
    struct stat status{};
    if (::fstat(descriptor_, &status) != 0) fail("examine", id_.str(), errno);
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (size < footer_bytes) throw BlobDamaged(id_, "its file is too short");
    std::string footer(footer_bytes, '\0');
    read_exactly(footer, size - footer_bytes);
    const auto info = parse_footer(footer, size);
    if (!info) throw BlobDamaged(id_, "its file has no valid footer");
    return *info;
  }

  // Into `out`, verified.
  void read_block(const BlobInfo& info, std::uint64_t block, std::string& out) const {
    const std::uint64_t offset = block * block_bytes;
    out.resize(std::min<std::uint64_t>(block_bytes, info.size - offset));
    read_exactly(out, offset);
    Sum expected;
    read_exactly(expected, sum_offset(info.size, block));
    if (sum_of(out) != expected) throw BlobDamaged(id_, fmt::format("block {} has another checksum", block));
  }

 private:
  void read_exactly(std::span<char> out, std::uint64_t offset) const {
    while (!out.empty()) {
      const ssize_t got = calls_.read_at(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("read", id_.str(), errno);
      if (got == 0) throw BlobDamaged(id_, "its file ends too early");
      out = out.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
  }

  FileCalls& calls_;
  BlobId id_;
  int descriptor_;
};

// A file of ours that is being written. Blocking: made, used and destroyed on the pool, by one call at a
// time.
class DirectoryBlobs::Draft {
 public:
  Draft(DirectoryBlobs& store, BlobId id)
      : store_(store),
        calls_(store.calls_),
        path_(store.draft_path_of(id)),
        file_(calls_, id, open(calls_, path_)) {}
  // The pool may run it when the store is gone already.
  ~Draft() {
    if (!path_.empty()) calls_.remove(path_);
  }
  Draft(const Draft&) = delete;

  const File& file() const { return file_; }

  void append(std::string_view block) {
    digest_.add(block);
    const Sum sum = sum_of(block);
    sums_.append(sum.begin(), sum.end());
    write(block);
    size_ += block.size();
  }

  BlobInfo seal() {
    BlobInfo info{size_, digest_.finish_hex()};
    write(std::exchange(sums_, {}));
    write(render_footer(info));
    return info;
  }

  void commit() {
    if (calls_.sync(file_.descriptor()) != 0) fail("synchronise", path_, errno);
    const std::string folder = store_.prepare_folder(file_.id());
    const std::string final_path = store_.path_of(file_.id());
    if (calls_.rename(path_, final_path) != 0) fail("rename", path_, errno);
    path_ = final_path;  // what is removed unless the next step succeeds
    store_.sync_folder(folder);
    path_.clear();
  }

 private:
  static int open(FileCalls& calls, const std::string& path) {
    const int descriptor = calls.open(path, O_RDWR | O_CREAT | O_EXCL, private_file);
    if (descriptor < 0) fail("create", path, errno);
    return descriptor;
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = calls_.write(file_.descriptor(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail("write", path_, written < 0 ? errno : EIO);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  DirectoryBlobs& store_;
  FileCalls& calls_;
  std::string path_;  // of the file while it is to be removed
  File file_;
  text::Sha256 digest_;
  std::string sums_;  // of the blocks so far: 4 bytes for each 64 KiB
  std::uint64_t size_ = 0;
};

// One block at a time is in memory.
class DirectoryBlobs::Reader final : public BlobReader {
 public:
  // Shared with the work on the pool, which may be under way when the reader's coroutine is destroyed.
  Reader(DirectoryBlobs& store, std::shared_ptr<const File> file, BlobInfo info)
      : store_(store), file_(std::move(file)), info_(std::move(info)) {}

  const BlobInfo& info() const override { return info_; }

  Task<std::size_t> read(std::uint64_t offset, std::span<char> out) override {
    if (offset >= info_.size || out.empty()) co_return 0;
    const std::uint64_t block = offset / block_bytes;
    if (block != block_) {
      block_ = no_block;
      bytes_ = co_await store_.blocking_.run(
          [file = file_, info = info_, block, bytes = std::move(bytes_)]() mutable {
            file->read_block(info, block, bytes);
            return std::move(bytes);
          });
      block_ = block;
    }
    const std::string_view rest = std::string_view(bytes_).substr(offset % block_bytes);
    const std::size_t size = std::min(out.size(), rest.size());
    std::copy_n(rest.begin(), size, out.begin());
    co_return size;
  }

 private:
  DirectoryBlobs& store_;
  std::shared_ptr<const File> file_;
  BlobInfo info_;
  std::uint64_t block_ = no_block;  // that `bytes_` holds
  std::string bytes_;
};

class DirectoryBlobs::SealedDraft final : public DraftBlob {
 public:
  SealedDraft(DirectoryBlobs& store, std::shared_ptr<Draft> draft, BlobInfo info)
      : store_(store),
        draft_(std::move(draft)),
        // Not a file of its own: it keeps the draft alive.
        reader_(store, std::shared_ptr<const File>(draft_, &draft_->file()), std::move(info)) {}
  // A draft that is dropped is removed on the pool.
  ~SealedDraft() override {
    store_.blocking_.post([draft = std::move(draft_), reader = std::move(reader_)] {});
  }

  const BlobId& id() const override { return draft_->file().id(); }
  const BlobInfo& info() const override { return reader_.info(); }
  Task<std::size_t> read(std::uint64_t offset, std::span<char> out) override {
    return reader_.read(offset, out);
  }
  Task<void> commit() override {
    co_await store_.blocking_.run([draft = draft_] { draft->commit(); });
  }

 private:
  DirectoryBlobs& store_;
  std::shared_ptr<Draft> draft_;  // shared with the work on the pool and the reader
  Reader reader_;
};

class DirectoryBlobs::Writer final : public BlobWriter {
 public:
  Writer(DirectoryBlobs& store, std::shared_ptr<Draft> draft) : store_(store), draft_(std::move(draft)) {}
  ~Writer() override {
    if (draft_) store_.blocking_.post([draft = std::move(draft_)] {});
  }

  Task<void> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const std::string_view part = bytes.substr(0, block_bytes - block_.size());
      block_ += part;
      bytes.remove_prefix(part.size());
      if (block_.size() == block_bytes) co_await flush();
    }
  }

  Task<std::unique_ptr<DraftBlob>> seal() override {
    if (!block_.empty()) co_await flush();
    BlobInfo info = co_await store_.blocking_.run([draft = draft_] { return draft->seal(); });
    co_return std::make_unique<SealedDraft>(store_, std::move(draft_), std::move(info));
  }

 private:
  Task<void> flush() {
    block_ = co_await store_.blocking_.run([draft = draft_, block = std::move(block_)]() mutable {
      draft->append(block);
      block.clear();
      return std::move(block);
    });
  }

  DirectoryBlobs& store_;
  std::shared_ptr<Draft> draft_;  // shared with the work on the pool
  std::string block_;             // of the bytes that wait for more
};

DirectoryBlobs::DirectoryBlobs(fs::path root, async::BlockingPool& blocking, IdSource& ids, FileCalls& calls)
    : root_(std::move(root)), blocking_(blocking), ids_(ids), calls_(calls) {
  std::error_code failure;
  const fs::path drafts = fs::path(root_) / drafts_folder;
  const bool made = fs::create_directories(root_, failure);
  if (made) fs::permissions(root_, fs::perms::owner_all, failure);
  if (!failure) fs::create_directory(drafts, failure);
  if (failure) {
    throw std::runtime_error(
        fmt::format("cannot make the directory of blobs {}: {}", root_, failure.message()));
  }
}

std::string DirectoryBlobs::path_of(const BlobId& id) const {
  const std::string_view name = id.str();
  return fmt::format("{}/{}/{}", root_, name.substr(name.size() - folder_name_length), name);
}

std::string DirectoryBlobs::draft_path_of(const BlobId& id) const {
  return fmt::format("{}/{}/{}", root_, drafts_folder, id.str());
}

std::string DirectoryBlobs::prepare_folder(const BlobId& id) {
  const std::string path = path_of(id).substr(0, root_.size() + 1 + folder_name_length);
  {
    std::lock_guard lock(mutex_);
    if (lasting_folders_.contains(path)) return path;
  }
  // Also when another process has made it: its name may not be on the disk yet.
  if (calls_.make_folder(path, private_folder) != 0 && errno != EEXIST) fail("make the folder", path, errno);
  sync_folder(root_);
  std::lock_guard lock(mutex_);
  lasting_folders_.insert(path);
  return path;
}

void DirectoryBlobs::sync_folder(const std::string& path) {
  const int folder = calls_.open(path, O_RDONLY | O_DIRECTORY, 0);
  if (folder < 0) fail("open the folder", path, errno);
  const int result = calls_.sync(folder);
  const int cause = errno;
  calls_.close(folder);
  if (result != 0) fail("synchronise the folder", path, cause);
}

Task<std::unique_ptr<BlobWriter>> DirectoryBlobs::create() {
  auto draft = co_await blocking_.run(
      [this, id = BlobId(ids_.make(blob_prefix))] { return std::make_shared<Draft>(*this, id); });
  co_return std::make_unique<Writer>(*this, std::move(draft));
}

Task<std::unique_ptr<BlobReader>> DirectoryBlobs::find(BlobId id) {
  if (!is_blob_id(id.str())) co_return nullptr;
  struct Found {
    std::shared_ptr<const File> file;
    BlobInfo info;
  };
  auto found = co_await blocking_.run([this, id = std::move(id)]() -> Found {
    const std::string path = path_of(id);
    const int descriptor = calls_.open(path, O_RDONLY, 0);
    if (descriptor < 0 && errno == ENOENT) return {};
    if (descriptor < 0) fail("open", path, errno);
    auto file = std::make_shared<const File>(calls_, id, descriptor);
    BlobInfo info = file->read_footer();
    return {std::move(file), std::move(info)};
  });
  if (!found.file) co_return nullptr;
  co_return std::make_unique<Reader>(*this, std::move(found.file), std::move(found.info));
}

// The name may come back after a loss of power: then it is an orphan.
Task<void> DirectoryBlobs::remove(BlobId id) {
  if (!is_blob_id(id.str())) co_return;
  co_await blocking_.run([this, id = std::move(id)] {
    const std::string path = path_of(id);
    if (calls_.remove(path) != 0 && errno != ENOENT) fail("remove", path, errno);
  });
}

// A page is a folder, the cursor its name.
Task<BlobPage> DirectoryBlobs::list(std::string cursor) {
  return blocking_.run([this, cursor = std::move(cursor)] { return list_folder_after(cursor); });
}

BlobPage DirectoryBlobs::list_folder_after(const std::string& cursor) const {
  std::vector<std::string> folders = names_in(root_);
  std::erase_if(folders, [&](const std::string& name) { return !is_folder_name(name) || name <= cursor; });
  BlobPage page;
  if (folders.empty()) return page;
  const std::string folder = fmt::format("{}/{}", root_, folders.front());
  for (const std::string& name : names_in(folder)) {
    struct stat status{};
    if (!is_blob_id(name) || !name.ends_with(folders.front())) continue;
    if (::stat(fmt::format("{}/{}", folder, name).c_str(), &status) != 0) continue;  // removed meanwhile
    page.blobs.push_back({BlobId(name), unix_seconds(status)});
  }
  if (folders.size() > 1) page.next = folders.front();
  return page;
}

Task<std::size_t> DirectoryBlobs::remove_leftovers(UnixSeconds untouched_since) {
  return blocking_.run([this, untouched_since] { return remove_drafts(untouched_since); });
}

std::size_t DirectoryBlobs::remove_drafts(UnixSeconds untouched_since) {
  std::size_t removed = 0;
  const std::string folder = fmt::format("{}/{}", root_, drafts_folder);
  for (const std::string& name : names_in(folder)) {
    const std::string path = fmt::format("{}/{}", folder, name);
    struct stat status{};
    if (!is_blob_id(name) || ::stat(path.c_str(), &status) != 0 || unix_seconds(status) >= untouched_since)
      continue;
    if (calls_.remove(path) == 0) ++removed;
  }
  return removed;
}

}  // namespace hearth::store
