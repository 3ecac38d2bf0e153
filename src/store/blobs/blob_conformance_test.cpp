// What every driver of blobs promises.
#include <algorithm>
#include <functional>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "async/scope.hpp"
#include "base/text.hpp"
#include "db/test_directory.hpp"
#include "store/blobs/blob_layout.hpp"
#include "store/blobs/directory_blobs.hpp"
#include "store/blobs/orphan_sweep.hpp"
#include "store/blobs/test_blobs.hpp"

namespace hearth::store {
namespace {

using namespace std::chrono_literals;

// One kind of store; each test gets an empty one.
struct Driver {
  std::string name;
  std::function<std::unique_ptr<BlobStore>(const std::filesystem::path&, async::BlockingPool&, IdSource&)>
      open;
};

class BlobConformance : public testing::TestWithParam<Driver> {
 protected:
  void run(Task<void> task) { runtime_.run_until_complete(std::move(task)); }
  BlobStore& blobs() { return *blobs_; }
  UnixSeconds now() const { return clock_.unix_now(); }

  Clock clock_;
  IdSource ids_{clock_};
  db::TestDirectory directory_;
  async::Runtime runtime_{1};
  async::BlockingPool blocking_{2};
  std::unique_ptr<BlobStore> blobs_ = GetParam().open(directory_.path() / "blobs", blocking_, ids_);
};

constexpr std::size_t sizes[] = {
    0, 1, 2, 4096, block_bytes - 1, block_bytes, block_bytes + 1, 3 * block_bytes + 7};

TEST_P(BlobConformance, EverySizeComesBackInEveryPiece) {
  run([](BlobStore& blobs) -> Task<void> {
    for (const std::size_t size : sizes) {
      const std::string bytes = sample_bytes(size);
      for (const std::size_t piece : {std::size_t{17}, std::size_t{1000}, block_bytes, 2 * block_bytes + 1}) {
        const BlobId id = co_await put_blob(blobs, bytes, piece);
        const auto reader = co_await blobs.find(id);
        EXPECT_TRUE(reader) << size;
        if (!reader) continue;
        EXPECT_EQ(reader->info(), (BlobInfo{size, text::sha256_hex(bytes)}));
        EXPECT_TRUE(co_await read_blob(*reader, piece) == bytes) << size << " in pieces of " << piece;
      }
    }
  }(blobs()));
}

TEST_P(BlobConformance, OneByteAtATime) {
  run([](BlobStore& blobs) -> Task<void> {
    const std::string bytes = sample_bytes(700);
    EXPECT_EQ(co_await find_bytes(blobs, co_await put_blob(blobs, bytes, 1)), bytes);
  }(blobs()));
}

TEST_P(BlobConformance, AnyRange) {
  run([](BlobStore& blobs) -> Task<void> {
    const std::string bytes = sample_bytes(3 * block_bytes + 7);
    const auto reader = co_await blobs.find(co_await put_blob(blobs, bytes));
    std::mt19937 random(7);  // NOLINT: the same ranges in every run
    for (int i = 0; i < 300; ++i) {
      const std::size_t offset = i % 10 == 0 ? (i / 10) * (block_bytes / 4) : random() % (bytes.size() + 100);
      const std::size_t length = 1 + random() % (2 * block_bytes);
      std::string part;
      std::string buffer(length, '\0');
      while (part.size() < length) {
        const std::size_t got =
            co_await reader->read(offset + part.size(), std::span(buffer).first(length - part.size()));
        if (got == 0) break;
        part.append(buffer, 0, got);
      }
      const std::string expected = offset < bytes.size() ? bytes.substr(offset, length) : std::string();
      EXPECT_TRUE(part == expected) << offset << ", " << length;
    }
    char none = 0;
    EXPECT_EQ(co_await reader->read(~std::uint64_t{0}, {&none, 1}), 0u);
    EXPECT_EQ(co_await reader->read(0, {}), 0u);
  }(blobs()));
}

TEST_P(BlobConformance, ADraftIsReadButNotFound) {
  run([](BlobStore& blobs) -> Task<void> {
    const std::string bytes = sample_bytes(100'000);
    const auto draft = co_await write_draft(blobs, bytes);
    EXPECT_EQ(draft->info(), (BlobInfo{bytes.size(), text::sha256_hex(bytes)}));
    EXPECT_EQ(co_await read_blob(*draft), bytes);
    EXPECT_EQ(co_await find_bytes(blobs, draft->id()), std::nullopt);
    EXPECT_TRUE((co_await list_all(blobs)).empty());
    co_await draft->commit();
    EXPECT_EQ(co_await find_bytes(blobs, draft->id()), bytes);
    EXPECT_EQ(co_await read_blob(*draft), bytes);
  }(blobs()));
}

TEST_P(BlobConformance, WhatIsDroppedWasNeverThere) {
  run([](BlobStore& blobs, UnixSeconds later) -> Task<void> {
    {
      const auto empty = co_await blobs.create();
      const auto half = co_await blobs.create();
      co_await half->write(sample_bytes(100'000));
      const auto draft = co_await write_draft(blobs, sample_bytes(10));
    }
    EXPECT_TRUE((co_await list_all(blobs)).empty());
    // The pool has other threads; what was dropped is gone soon.
    std::size_t left = 1;
    for (int i = 0; i < 100 && left > 0; ++i)
      left = co_await blobs.remove_leftovers(later);
    EXPECT_EQ(left, 0u);
  }(blobs(), now() + 1000));
}

TEST_P(BlobConformance, ARemovedBlobIsGoneButReadToItsEnd) {
  run([](BlobStore& blobs) -> Task<void> {
    const std::string bytes = sample_bytes(3 * block_bytes);
    const BlobId kept = co_await put_blob(blobs, "kept");
    const BlobId id = co_await put_blob(blobs, bytes);
    const auto reader = co_await blobs.find(id);
    co_await blobs.remove(id);
    co_await blobs.remove(id);
    EXPECT_FALSE(co_await blobs.find(id));
    EXPECT_TRUE(co_await read_blob(*reader) == bytes);
    EXPECT_EQ(co_await find_bytes(blobs, kept), "kept");
  }(blobs()));
}

TEST_P(BlobConformance, OnlyIdsOfBlobsLeadAnywhere) {
  run([](BlobStore& blobs) -> Task<void> {
    const BlobId id = co_await put_blob(blobs, "content");
    const std::string& name = id.str();
    for (const std::string& other :
         {std::string(), std::string("blob_"), std::string("/etc/passwd"),
          std::string("../../../../etc/passwd"), "../" + name, name + "/", "./" + name,
          name.substr(0, name.size() - 1), name + "0", std::string("blob_") + std::string(30, '.'),
          std::string("blob_") + std::string(28, '0') + "/.", std::string("blob_") + std::string(30, '0'),
          name.substr(0, 34) + std::string(1, '\0')}) {
      EXPECT_FALSE(co_await blobs.find(BlobId(other))) << other;
      co_await blobs.remove(BlobId(other));
    }
    EXPECT_EQ(co_await find_bytes(blobs, id), "content");
  }(blobs()));
}

TEST_P(BlobConformance, IdsSortByCreation) {
  run([](BlobStore& blobs) -> Task<void> {
    const BlobId first = co_await put_blob(blobs, "1");
    for (const auto end = std::chrono::steady_clock::now() + 5ms; std::chrono::steady_clock::now() < end;)
      co_await put_blob(blobs, "between");
    EXPECT_LT(first, co_await put_blob(blobs, "2"));
  }(blobs()));
}

TEST_P(BlobConformance, AllAreListedOnce) {
  run([](BlobStore& blobs, UnixSeconds start) -> Task<void> {
    std::set<BlobId> put;
    for (int i = 0; i < 100; ++i)
      put.insert(co_await put_blob(blobs, std::to_string(i)));
    std::set<BlobId> listed;
    const auto all = co_await list_all(blobs);
    for (const StoredBlob& blob : all) {
      listed.insert(blob.id);
      EXPECT_NEAR(static_cast<double>(blob.written_at), static_cast<double>(start), 60);
    }
    EXPECT_EQ(all.size(), 100u);
    EXPECT_EQ(listed, put);
  }(blobs(), now()));
}

TEST_P(BlobConformance, ManyAtOnce) {
  run([](BlobStore& blobs) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    std::vector<BlobId> ids(16);
    const auto worker = [](BlobStore& store, std::uint32_t number, BlobId& id) -> Task<void> {
      const std::string bytes = sample_bytes(100'000 + number, number);
      id = co_await put_blob(store, bytes, 9'999);
      EXPECT_TRUE(co_await find_bytes(store, id) == bytes);
    };
    for (std::size_t i = 0; i < ids.size(); ++i)
      scope.spawn("worker", worker(blobs, static_cast<std::uint32_t>(i), ids[i]));
    co_await scope.join();
    EXPECT_EQ(std::set<BlobId>(ids.begin(), ids.end()).size(), ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i)
      EXPECT_TRUE(co_await find_bytes(blobs, ids[i]) ==
                  sample_bytes(100'000 + i, static_cast<std::uint32_t>(i)));
  }(blobs()));
}

// Answers for a table that names these blobs.
FindNamedBlobs rows_naming(std::set<BlobId> named) {
  return [named = std::move(named)](std::vector<BlobId> asked) -> Task<std::set<BlobId>> {
    std::set<BlobId> found;
    for (BlobId& id : asked)
      if (named.contains(id)) found.insert(std::move(id));
    co_return found;
  };
}

TEST_P(BlobConformance, TheSweepRemovesOldOrphansOnly) {
  run([](BlobStore& blobs, UnixSeconds now) -> Task<void> {
    std::set<BlobId> named;
    std::set<BlobId> orphans;
    for (int i = 0; i < 40; ++i)
      (i % 2 == 0 ? named : orphans).insert(co_await put_blob(blobs, std::to_string(i)));
    const auto half_written = co_await blobs.create();
    co_await half_written->write(std::string(2 * block_bytes, 'x'));
    const FindNamedBlobs rows = rows_naming(named);

    // Young: they wait for their rows.
    const SweptBlobs early = co_await sweep_orphans(blobs, now + 3000, 1h, rows);
    EXPECT_EQ(early.orphans, 0u);
    EXPECT_EQ(early.leftovers, 0u);
    EXPECT_EQ((co_await list_all(blobs)).size(), 40u);

    const SweptBlobs late = co_await sweep_orphans(blobs, now + 4000, 1h, rows);
    EXPECT_EQ(late.orphans, 20u);
    EXPECT_EQ(late.leftovers, 1u);
    for (const BlobId& id : named)
      EXPECT_TRUE(co_await blobs.find(id));
    for (const BlobId& id : orphans)
      EXPECT_FALSE(co_await blobs.find(id));
    EXPECT_EQ((co_await sweep_orphans(blobs, now + 4000, 1h, rows)).orphans, 0u);
  }(blobs(), now()));
}

TEST_P(BlobConformance, ASweepWithoutAnAnswerRemovesNothing) {
  run([](BlobStore& blobs, UnixSeconds now) -> Task<void> {
    co_await put_blob(blobs, "a row may name it");
    const FindNamedBlobs unreachable = [](std::vector<BlobId>) -> Task<std::set<BlobId>> {
      throw std::runtime_error("the database is away");
      co_return std::set<BlobId>();
    };
    bool failed = false;
    try {
      co_await sweep_orphans(blobs, now + 4000, 1h, unreachable);
    } catch (const std::runtime_error&) {
      failed = true;
    }
    EXPECT_TRUE(failed);
    EXPECT_EQ((co_await list_all(blobs)).size(), 1u);
  }(blobs(), now()));
}

INSTANTIATE_TEST_SUITE_P(Drivers, BlobConformance,
                         testing::Values(Driver{"directory",
                                                [](const auto& folder, auto& blocking, auto& ids) {
                                                  return std::make_unique<DirectoryBlobs>(folder, blocking,
                                                                                          ids);
                                                }}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace hearth::store
