// What may go wrong with files: faults at every step, a full disk, processes that are killed, loss of
// power, bits that flip.
#include "store/blobs/directory_blobs.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sys/mount.h>
#include <sys/wait.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/api_error.hpp"
#include "store/blobs/blob_layout.hpp"
#include "store/blobs/faulty_files.hpp"
#include "store/blobs/test_blobs.hpp"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

// A folder in memory where the machine has one: a disk takes its time over thousands of small files.
class QuickFolder {
 public:
  QuickFolder() {
    const fs::path parent = fs::exists("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
    std::string name = (parent / "hearth-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder for the test");
    path_ = name;
  }
  ~QuickFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  QuickFolder(const QuickFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// A store that lives as long as one process would.
struct Process {
  explicit Process(const fs::path& root, FileCalls& calls = FileCalls::system())
      : blobs(root, blocking, ids, calls) {}
  template <class... Parameters, class... Arguments>
  void run(Task<void> (*work)(BlobStore&, Parameters...), Arguments&&... arguments) {
    runtime.run_until_complete(work(blobs, std::forward<Arguments>(arguments)...));
  }

  Clock clock;
  IdSource ids{clock};
  async::Runtime runtime{1};
  async::BlockingPool blocking{1};
  DirectoryBlobs blobs;
};

std::vector<fs::path> files_below(const fs::path& root) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(root))
    if (entry.is_regular_file()) files.push_back(entry.path());
  return files;
}

class DirectoryBlobsTest : public testing::Test {
 protected:
  fs::path root() const { return directory_.path() / "blobs"; }
  fs::path file_of(const BlobId& id) const {
    return root() / id.str().substr(id.str().size() - 2) / id.str();
  }
  BlobId put(std::string_view bytes) {
    Process process(root());
    BlobId id;
    process.run(
        +[](BlobStore& blobs, std::string_view content, BlobId& made) -> Task<void> {
          made = co_await put_blob(blobs, content);
        },
        bytes, id);
    return id;
  }

  QuickFolder directory_;
};

// The status of the ApiError by which putting these bytes ends; 0: it is there.
Task<void> try_to_put(BlobStore& blobs, const std::string& bytes, int& status, BlobId& id) {
  status = 0;
  try {
    id = co_await put_blob(blobs, bytes, 1000);
  } catch (const ApiError& error) {
    status = error.status();
  }
}

// Whatever is found is whole; `id` is found when it was acknowledged.
Task<void> check_after(BlobStore& blobs, const std::string& bytes, const std::vector<BlobId>& acknowledged) {
  for (const StoredBlob& blob : co_await list_all(blobs))
    EXPECT_TRUE(co_await find_bytes(blobs, blob.id) == bytes) << blob.id.str();
  for (const BlobId& id : acknowledged)
    EXPECT_TRUE(co_await find_bytes(blobs, id) == bytes) << id.str();
}

TEST_F(DirectoryBlobsTest, OnlyItsOwnerMayReadTheFiles) {
  const BlobId id = put("secret");
  EXPECT_EQ(fs::status(file_of(id)).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(root()).permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(file_of(id).parent_path()).permissions(), fs::perms::owner_all);
}

TEST_F(DirectoryBlobsTest, TheFileBeginsWithTheBytes) {
  const std::string bytes = sample_bytes(100'000);
  std::ifstream file(file_of(put(bytes)), std::ios::binary);
  const std::string content(std::istreambuf_iterator<char>(file), {});
  EXPECT_TRUE(content.starts_with(bytes));
  EXPECT_EQ(content.size(), file_bytes(bytes.size()));
}

TEST_F(DirectoryBlobsTest, ShortWritesAndReads) {
  const std::string bytes = sample_bytes(2 * block_bytes + 77);
  for (const std::size_t most : {1U, 7U, 4095U, 65536U}) {
    FaultyFiles files;
    files.largest_write = files.largest_read = most;
    Process process(root() / std::to_string(most), files);
    process.run(
        +[](BlobStore& blobs, const std::string& content) -> Task<void> {
          const BlobId id = co_await put_blob(blobs, content);
          EXPECT_TRUE(co_await find_bytes(blobs, id) == content);
        },
        bytes);
  }
}

TEST_F(DirectoryBlobsTest, AFullDiskAtAnyByteLeavesNothing) {
  const std::string bytes = sample_bytes(1000);
  for (std::uint64_t room = 0; room <= file_bytes(bytes.size()); ++room) {
    FaultyFiles files;
    files.room = room;
    int status = 0;
    BlobId id;
    {
      Process process(root(), files);
      process.run(try_to_put, bytes, status, id);
    }
    if (room == file_bytes(bytes.size())) {
      EXPECT_EQ(status, 0);
      EXPECT_EQ(files_below(root()).size(), 1u);
    } else {
      EXPECT_EQ(status, 507) << room;
      EXPECT_TRUE(files_below(root()).empty()) << room;
    }
  }
}

TEST_F(DirectoryBlobsTest, AFaultAtAnyStepLeavesNothing) {
  const std::string bytes = sample_bytes(2 * block_bytes + 1);
  bool succeeded = false;
  for (std::uint64_t step = 0; step < 100 && !succeeded; ++step) {
    for (const int cause : {EIO, ENOSPC, EDQUOT, EACCES}) {
      const fs::path place = root() / fmt::format("{}-{}", step, cause);
      FaultyFiles files;
      files.fails_at = step;
      files.error = cause;
      int status = 0;
      BlobId id;
      {
        Process process(place, files);
        process.run(try_to_put, bytes, status, id);
      }
      if (files.steps() <= step) {  // the fault came too late
        EXPECT_EQ(status, 0);
        succeeded = true;
        continue;
      }
      EXPECT_EQ(status, cause == ENOSPC || cause == EDQUOT ? 507 : 503) << step;
      EXPECT_TRUE(files_below(place).empty()) << step;
    }
  }
  EXPECT_TRUE(succeeded);
}

TEST_F(DirectoryBlobsTest, AnInterruptedCallIsRepeated) {
  FaultyFiles files;
  files.fails_at = 1;  // the first write
  files.error = EINTR;
  int status = 0;
  BlobId id;
  Process process(root(), files);
  process.run(try_to_put, sample_bytes(10), status, id);
  EXPECT_EQ(status, 0);
}

// The process ends between any two of its system calls, where each byte is a call.
TEST_F(DirectoryBlobsTest, KilledAtAnyByteABlobIsWholeOrNotThere) {
  const std::string bytes = sample_bytes(500);
  std::uint64_t step = 0;
  std::size_t acknowledgements = 0;
  for (bool finished = false; !finished; ++step) {
    ASSERT_LT(step, 5000u);
    FaultyFiles files;
    files.largest_write = 1;
    files.killed_at = step;
    int status = 0;
    BlobId id;
    {
      Process process(root(), files);
      process.run(try_to_put, bytes, status, id);
    }
    finished = files.steps() <= step;
    std::vector<BlobId> acknowledged;
    if (status == 0) {
      acknowledged.push_back(id);
      ++acknowledgements;
    }
    Process next(root());
    next.run(check_after, bytes, acknowledged);
  }
  EXPECT_GT(step, file_bytes(bytes.size()));
  EXPECT_EQ(acknowledgements, 1u);
  // All that was left behind is found by its age.
  Process last(root());
  last.run(+[](BlobStore& blobs) -> Task<void> {
    EXPECT_EQ(co_await blobs.remove_leftovers(Clock().unix_now() - 1000), 0u);
    EXPECT_GT(co_await blobs.remove_leftovers(Clock().unix_now() + 1000), 500u);
    EXPECT_EQ(co_await blobs.remove_leftovers(Clock().unix_now() + 1000), 0u);
  });
}

Task<void> put_several(BlobStore& blobs, const std::string& bytes, std::vector<BlobId>& acknowledged) {
  try {
    for (int i = 0; i < 4; ++i)
      acknowledged.push_back(co_await put_blob(blobs, bytes, 100));
  } catch (const ApiError&) {  // nobody is there any more
  }
}

// The power goes at any step: what was not synchronised is lost in any combination, what was acknowledged is
// not.
TEST_F(DirectoryBlobsTest, WhatWasAcknowledgedSurvivesALossOfPower) {
  const std::string bytes = sample_bytes(300);
  std::mt19937 random(11);  // NOLINT: the same losses in every run
  std::size_t lost = 0;
  std::size_t kept = 0;
  for (int round = 0; round < 600; ++round) {
    const QuickFolder place;
    FaultyFiles files;
    files.largest_write = 1 + random() % 200;
    files.killed_at = random() % 60;
    std::vector<BlobId> acknowledged;
    {
      Process process(place.path(), files);
      process.run(put_several, bytes, acknowledged);
    }
    files.cut_power(random);
    Process next(place.path());
    next.run(check_after, bytes, acknowledged);
    kept += acknowledged.size();
    lost += 4 - acknowledged.size();
  }
  EXPECT_GT(kept, 200u);
  EXPECT_GT(lost, 200u);
}

[[noreturn]] void put_until_killed(const fs::path& root, const std::string& bytes, int acknowledgements) {
  Process process(root);
  process.run(
      +[](BlobStore& blobs, const std::string& content, int pipe) -> Task<void> {
        for (int i = 0; i < 10'000; ++i) {
          const BlobId id = co_await put_blob(blobs, content);
          if (::write(pipe, id.str().data(), id.str().size()) != static_cast<ssize_t>(id.str().size()))
            ::_exit(2);
        }
      },
      bytes, acknowledgements);
  ::_exit(0);
}

TEST_F(DirectoryBlobsTest, WhatWasAcknowledgedSurvivesAKill) {
  const std::string bytes = sample_bytes(300'000);
  std::mt19937 random(5);  // NOLINT
  std::vector<BlobId> acknowledged;
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      put_until_killed(root(), bytes, ends[1]);
    }
    ::close(ends[1]);
    std::string id(blob_prefix.size() + 30, '\0');
    const std::size_t enough = acknowledged.size() + 1 + random() % 4;
    bool killed = false;
    while (::read(ends[0], id.data(), id.size()) == static_cast<ssize_t>(id.size())) {
      acknowledged.emplace_back(id);
      if (killed || acknowledged.size() < enough) continue;
      ::usleep(random() % 3000);  // somewhere inside the next one
      ::kill(child, SIGKILL);
      killed = true;
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  EXPECT_GE(acknowledged.size(), 20u);
  Process next(root());
  next.run(check_after, bytes, acknowledged);
}

TEST_F(DirectoryBlobsTest, ARealFullDisk) {
  fs::create_directories(root());
  if (::mount("tmpfs", root().c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "no right to mount a small file system: " << std::strerror(errno);
  }
  {
    Process process(root());
    process.run(+[](BlobStore& blobs) -> Task<void> {
      const std::string bytes = sample_bytes(400'000);
      std::vector<BlobId> kept;
      int status = 0;
      for (int i = 0; i < 5 && status == 0; ++i) {
        BlobId id;
        co_await try_to_put(blobs, bytes, status, id);
        if (status == 0) kept.push_back(id);
      }
      EXPECT_EQ(status, 507);
      EXPECT_EQ(kept.size(), 2u);
      co_await check_after(blobs, bytes, kept);
      co_await blobs.remove(kept.back());
      kept.pop_back();
      BlobId id;
      co_await try_to_put(blobs, bytes, status, id);
      EXPECT_EQ(status, 0);
    });
  }
  EXPECT_EQ(files_below(root()).size(), 2u);  // nothing half-written
  EXPECT_EQ(::umount(root().c_str()), 0);
}

// The message of the BlobDamaged that reading ends with; empty: it was read.
Task<void> read_damaged(BlobStore& blobs, BlobId id, std::string& message, std::string& bytes) {
  message.clear();
  try {
    bytes = (co_await find_bytes(blobs, id)).value();
  } catch (const BlobDamaged& damage) {
    EXPECT_EQ(damage.blob(), id);
    message = damage.what();
  }
}

TEST_F(DirectoryBlobsTest, AnyFlippedBitIsNoticedAndNamesTheBlob) {
  const BlobId id = put(sample_bytes(120));
  Process process(root());
  const auto size = static_cast<std::size_t>(fs::file_size(file_of(id)));
  for (std::size_t at = 0; at < size; ++at) {
    std::fstream file(file_of(id), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int byte = file.get();
    const auto set = [&](int value) {
      file.seekp(static_cast<std::streamoff>(at));
      file.put(static_cast<char>(value));
      file.flush();
    };
    set(byte ^ (1 << (at % 8)));
    std::string message;
    std::string bytes;
    process.run(read_damaged, id, message, bytes);
    EXPECT_NE(message.find(id.str()), std::string::npos) << at;
    set(byte);
  }
  std::string message;
  std::string bytes;
  process.run(read_damaged, id, message, bytes);
  EXPECT_EQ(message, "");
}

TEST_F(DirectoryBlobsTest, ADamagedBlockLeavesTheOthersReadable) {
  const std::string bytes = sample_bytes(3 * block_bytes);
  const BlobId id = put(bytes);
  std::fstream file(file_of(id), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(block_bytes + 5);
  file.put(static_cast<char>(bytes[block_bytes + 5] ^ 0x40));
  file.close();
  Process process(root());
  process.run(
      +[](BlobStore& blobs, const BlobId& damaged, const std::string& content) -> Task<void> {
        const auto reader = co_await blobs.find(damaged);
        std::string buffer(10, '\0');
        EXPECT_EQ(co_await reader->read(2 * block_bytes, buffer), 10u);
        EXPECT_EQ(buffer, content.substr(2 * block_bytes, 10));
        for (int attempt = 0; attempt < 2; ++attempt) {
          bool refused = false;
          try {
            co_await reader->read(2 * block_bytes - 1, buffer);
          } catch (const BlobDamaged&) {
            refused = true;
          }
          EXPECT_TRUE(refused);
        }
        EXPECT_EQ(co_await reader->read(0, buffer), 10u);
        EXPECT_EQ(buffer, content.substr(0, 10));
      },
      id, bytes);
}

TEST_F(DirectoryBlobsTest, AShortenedFileIsNoticed) {
  const std::string bytes = sample_bytes(70'000);
  for (const std::size_t missing : {1U, 63U, 64U, 65U, 72U, 73U, 5000U, 70'000U, 70'072U}) {
    const BlobId id = put(bytes);
    fs::resize_file(file_of(id), file_bytes(bytes.size()) - missing);
    Process process(root());
    std::string message;
    std::string found;
    process.run(read_damaged, id, message, found);
    EXPECT_NE(message.find(id.str()), std::string::npos) << missing;
  }
}

TEST_F(DirectoryBlobsTest, AFailingReadIsNotTakenForDamage) {
  const BlobId id = put("content");
  FaultyFiles files;
  Process process(root(), files);
  files.read_error = EIO;
  process.run(
      +[](BlobStore& blobs, const BlobId& blob) -> Task<void> {
        int status = 0;
        try {
          co_await blobs.find(blob);
        } catch (const ApiError& error) {
          status = error.status();
        }
        EXPECT_EQ(status, 503);
      },
      id);
}

TEST_F(DirectoryBlobsTest, StrangersInTheDirectoryAreLeftAlone) {
  const BlobId id = put("content");
  const std::vector<fs::path> strangers{root() / "notes.txt", root() / "drafts" / "readme",
                                        file_of(id).parent_path() / "blob_short",
                                        file_of(id).parent_path() / ("blob_" + std::string(30, '-'))};
  for (const fs::path& path : strangers)
    std::ofstream(path) << "mine";
  Process process(root());
  process.run(+[](BlobStore& blobs) -> Task<void> {
    EXPECT_EQ((co_await list_all(blobs)).size(), 1u);
    EXPECT_EQ(co_await blobs.remove_leftovers(Clock().unix_now() + 1000), 0u);
  });
  for (const fs::path& path : strangers)
    EXPECT_TRUE(fs::exists(path)) << path;
}

TEST_F(DirectoryBlobsTest, SaysWhyItCannotBeOpened) {
  std::ofstream(root()) << "a file in its place";
  try {
    Process process(root());
    ADD_FAILURE() << "opened a file as a directory";
  } catch (const std::runtime_error& failure) {
    EXPECT_NE(std::string(failure.what()).find(root().string()), std::string::npos);
  }
}

}  // namespace
}  // namespace hearth::store
