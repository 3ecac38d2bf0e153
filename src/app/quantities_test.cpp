#include "app/quantities.hpp"

#include <gtest/gtest.h>

namespace hearth::app {
namespace {

using namespace std::chrono_literals;

TEST(Quantities, DurationsOfEveryUnit) {
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("2h"), 2h);
  EXPECT_EQ(parse_duration("1d"), 24h);
  EXPECT_EQ(parse_duration("0"), 0ms);
  EXPECT_EQ(parse_duration("0s"), 0ms);
}

TEST(Quantities, WhatIsNoDuration) {
  for (const char* text : {"", "s", "30", "-1s", "+1s", "1.5s", " 1s", "1s ", "1 s", "1S", "1m30s", "1w",
                           "99999999999999999999s", "9000000000000d"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Quantities, SizesOfEveryUnit) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("17"), 17u);
  EXPECT_EQ(parse_size("512B"), 512u);
  EXPECT_EQ(parse_size("64KiB"), 64u << 10);
  EXPECT_EQ(parse_size("32MiB"), 32u << 20);
  EXPECT_EQ(parse_size("8GiB"), 8ULL << 30);
  EXPECT_EQ(parse_size("2TiB"), 2ULL << 40);
}

TEST(Quantities, WhatIsNoSize) {
  for (const char* text :
       {"", "MiB", "1MB", "1mib", "-1", "1.5GiB", "1 KiB", "18446744073709551616", "17179869184GiB"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(Quantities, FormatsInTheLargestExactUnit) {
  EXPECT_EQ(format_duration(0ms), "0s");
  EXPECT_EQ(format_duration(500ms), "500ms");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(75s), "75s");
  EXPECT_EQ(format_duration(600s), "10m");
  EXPECT_EQ(format_duration(48h), "2d");
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_size(1000), "1000B");
  EXPECT_EQ(format_size(32 * 1024), "32KiB");
  EXPECT_EQ(format_size(1ULL << 40), "1TiB");
  for (std::int64_t ms : {1, 999, 1000, 60'000, 86'400'000, 86'400'001}) {
    const std::chrono::milliseconds duration(ms);
    EXPECT_EQ(parse_duration(format_duration(duration)), duration);
  }
}

}  // namespace
}  // namespace hearth::app
