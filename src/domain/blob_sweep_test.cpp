#include "domain/blob_sweep.hpp"

#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "db/test_database.hpp"
#include "store/blobs/directory_blobs.hpp"
#include "store/blobs/test_blobs.hpp"
#include "store/schema.hpp"

namespace hearth::domain {
namespace {

using namespace std::chrono_literals;

TEST(BlobSweep, RemovesWhatNoRowNamesAfterADay) {
  const db::TestDirectory directory;
  FakeClock clock(std::chrono::system_clock::now());  // that of the files
  IdSource ids(clock);
  async::Runtime runtime(1);
  const auto database = store::open_database(db::open_sqlite({.file = directory.path() / "test.db"}));
  async::BlockingPool blocking(1);
  store::DirectoryBlobs blobs(directory.path() / "blobs", blocking, ids);
  BlobSweep sweep(blobs, *database, clock, 1h);
  jobs::Execution execution(jobs::Job{.id = jobs::JobId("job_1"), .kind = sweep.kind().name}, *database);
  runtime.run_until_complete(
      [](store::BlobStore& store, BlobSweep& handler, jobs::Execution& run, FakeClock& time) -> Task<void> {
        const BlobId id = co_await store::put_blob(store, "in nobody's row");
        const auto half_written = co_await store.create();
        co_await half_written->write(std::string(100'000, 'x'));
        time.advance(23h);
        co_await handler.run(run);
        EXPECT_TRUE(co_await store.find(id));
        time.advance(2h);
        co_await handler.run(run);
        EXPECT_FALSE(co_await store.find(id));
        EXPECT_EQ(co_await store.remove_leftovers(time.unix_now()), 0u);
      }(blobs, sweep, execution, clock));
}

}  // namespace
}  // namespace hearth::domain
