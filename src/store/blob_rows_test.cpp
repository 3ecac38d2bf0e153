#include "store/blob_rows.hpp"

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "async/blocking_pool.hpp"
#include "async/runtime.hpp"
#include "db/test_database.hpp"
#include "store/blobs/directory_blobs.hpp"
#include "store/blobs/test_blobs.hpp"
#include "store/schema.hpp"

namespace hearth::store {
namespace {

using namespace std::chrono_literals;

class BlobRows : public testing::TestWithParam<db::Engine> {
 protected:
  void SetUp() override { HEARTH_SKIP_WITHOUT(GetParam()); }
  db::TestDatabase place_{GetParam()};
};

TEST_P(BlobRows, EveryColumnThatNamesBlobsIsAsked) {
  open_database(place_.open());
  const auto session = place_.open()->connect(db::Access::read);
  std::vector<std::string> found;
  for (const db::Table& table : session->list_tables())
    for (const std::string& column : table.columns)
      if (column == "blob_id" || column.ends_with("_blob_id")) found.push_back(table.name + "." + column);
  std::vector<std::string> listed;
  for (const auto& [table, column] : blob_columns())
    listed.push_back(fmt::format("{}.{}", table, column));
  std::ranges::sort(found);
  std::ranges::sort(listed);
  EXPECT_EQ(listed, found);
}

constexpr std::array test_columns{BlobColumn{"files", "blob_id"}, BlobColumn{"parts", "first_blob_id"}};

TEST_P(BlobRows, TheSweepSparesWhatTheyName) {
  async::Runtime runtime(1);
  const auto database = open_database(place_.open());
  place_.open()
      ->connect(db::Access::write)
      ->execute_script(
          "CREATE TABLE files (id TEXT NOT NULL PRIMARY KEY, blob_id TEXT);"
          "CREATE TABLE parts (id TEXT NOT NULL PRIMARY KEY, first_blob_id TEXT);");
  Clock clock;
  IdSource ids(clock);
  const db::TestDirectory directory;
  async::BlockingPool blocking(1);
  DirectoryBlobs blobs(directory.path() / "blobs", blocking, ids);
  runtime.run_until_complete([](db::Database& rows, BlobStore& store, UnixSeconds now) -> Task<void> {
    std::vector<BlobId> made;
    for (int i = 0; i < 6; ++i)
      made.push_back(co_await put_blob(store, std::to_string(i)));
    co_await rows.write(db::WriteScope::everyone(), [made](db::Connection& connection) {
      connection.execute("INSERT INTO files (id, blob_id) VALUES ('a', $1), ('b', $1), ('c', NULL)",
                         {made[0]});
      connection.execute("INSERT INTO parts (id, first_blob_id) VALUES ('a', $1), ('b', $2)",
                         {made[3], made[4]});
    });
    const auto swept = co_await sweep_orphans(store, now + 4000, 1h, named_in(rows, test_columns));
    EXPECT_EQ(swept.orphans, 3u);
    for (std::size_t i = 0; i < made.size(); ++i)
      EXPECT_EQ((co_await store.find(made[i])) != nullptr, i == 0 || i == 3 || i == 4) << i;
  }(*database, blobs, clock.unix_now()));
}

INSTANTIATE_TEST_SUITE_P(Engines, BlobRows, testing::ValuesIn(db::engines),
                         [](const auto& info) { return db::name_of(info.param); });

}  // namespace
}  // namespace hearth::store
