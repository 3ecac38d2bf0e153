#include "db/sqlite.hpp"

#include <fstream>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "db/test_directory.hpp"

namespace hearth::db {
namespace {

class Sqlite : public testing::Test {
 protected:
  std::unique_ptr<Driver> open() { return open_sqlite({.file = directory_.path() / "test.db"}); }

  TestDirectory directory_;
};

// The kind of the error that `work` throws.
template <class Work>
std::optional<ErrorKind> kind_thrown_by(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error.kind();
  }
  return std::nullopt;
}

TEST_F(Sqlite, OnlyItsOwnerMayReadTheFiles) {
  const auto driver = open();
  driver->connect(Access::write)->execute("CREATE TABLE t (id TEXT)");
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    struct stat status{};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << entry.path();
  }
}

TEST_F(Sqlite, SaysWhyItCannotOpen) {
  EXPECT_EQ(kind_thrown_by([&] { open_sqlite({.file = directory_.path() / "none" / "test.db"}); }),
            ErrorKind::unavailable);
  const auto file = directory_.path() / "text.db";
  std::ofstream(file) << std::string(5000, 'x');
  EXPECT_EQ(kind_thrown_by([&] { open_sqlite({.file = file}); }), ErrorKind::unavailable);
}

}  // namespace
}  // namespace hearth::db
