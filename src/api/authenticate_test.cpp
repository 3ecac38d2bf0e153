#include "api/authenticate.hpp"

#include <gtest/gtest.h>

namespace hearth::api {
namespace {

TEST(Authenticate, ShowsNoMoreOfAKeyThanItMust) {
  EXPECT_EQ(redact_key("sk-proj-abcdefghijklmnopqrstuvwxyz"), "sk-proj-***wxyz");
  EXPECT_EQ(redact_key("sk-abcdefghijklmnopqrstuvwxyz"), "sk-***wxyz");
  EXPECT_EQ(redact_key("abcdefghijklmnopqrstuvwxyz"), "abc***wxyz");
  EXPECT_EQ(redact_key("short"), "***");
}

}  // namespace
}  // namespace hearth::api
