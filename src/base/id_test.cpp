#include "base/id.hpp"

#include <set>

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(IdSource, IdsSortByTimeAndDiffer) {
  FakeClock clock;
  IdSource ids(clock);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i)
    seen.insert(ids.make("file-"));
  EXPECT_EQ(seen.size(), 1000u);
  const std::string before = ids.make("file-");
  clock.advance(std::chrono::milliseconds(1));
  const std::string after = ids.make("file-");
  EXPECT_LT(before, after);
  EXPECT_EQ(before.size(), std::string_view("file-").size() + 30);
}

TEST(IdSource, SecretsAreLettersAndDigits) {
  const Clock clock;
  IdSource ids(clock);
  const std::string secret = ids.secret(200);
  EXPECT_EQ(secret.size(), 200u);
  EXPECT_EQ(secret.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
            std::string::npos);
  EXPECT_NE(secret, ids.secret(200));
}

}  // namespace
}  // namespace hearth
