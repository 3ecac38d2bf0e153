#include "api/usage_buckets.hpp"

#include <gtest/gtest.h>

#include "base/api_error.hpp"

namespace hearth::api {
namespace {

constexpr UnixSeconds now = 1'764'110'130;  // 2025-11-25 22:35:30

BucketPage read(std::string_view query, std::optional<std::int64_t> most_days = std::nullopt) {
  return read_buckets(json::parse(query)->get_object(), now, most_days);
}

// "param code" of the refusal.
std::string refusal(std::string_view query) {
  try {
    read(query);
  } catch (const ApiError& error) {
    return error.param().value_or("-") + " " + error.code().value_or("-");
  }
  return "none";
}

std::string shown(const BucketPage& page) {
  return std::to_string(page.start) + " " + std::to_string(page.size()) + (page.next_page ? " more" : "");
}

TEST(Buckets, AreAlignedAndReportedWhole) {
  EXPECT_EQ(shown(read(R"({"start_time":1764028800,"end_time":1764115200})")), "1764028800 1");
  EXPECT_EQ(shown(read(R"({"start_time":1764028801,"end_time":1764115200})")), "1764028800 1");
  EXPECT_EQ(shown(read(R"({"start_time":1764028800,"end_time":1764115201})")), "1764028800 2");
  EXPECT_EQ(shown(read(R"({"start_time":1764028799,"end_time":1764028801})")), "1763942400 2");
  EXPECT_EQ(shown(read(R"({"start_time":1764110100,"bucket_width":"1m"})")), "1764110100 1") << "until now";
}

TEST(Buckets, HaveLimitsByWidth) {
  EXPECT_EQ(shown(read(R"({"start_time":0,"bucket_width":"1d"})")), "0 7 more");
  EXPECT_EQ(shown(read(R"({"start_time":0,"bucket_width":"1h"})")), "0 24 more");
  EXPECT_EQ(shown(read(R"({"start_time":0,"bucket_width":"1m"})")), "0 60 more");
  EXPECT_EQ(shown(read(R"({"start_time":0,"bucket_width":"1d","limit":31})")), "0 31 more");
  EXPECT_EQ(refusal(R"({"start_time":0,"bucket_width":"1d","limit":32})"), "limit integer_above_max_value");
  EXPECT_EQ(shown(read(R"({"start_time":0,"bucket_width":"1h","limit":168})")), "0 168 more");
  EXPECT_EQ(refusal(R"({"start_time":0,"bucket_width":"1h","limit":169})"), "limit integer_above_max_value");
  EXPECT_EQ(shown(read(R"({"start_time":0,"bucket_width":"1m","limit":1440})")), "0 1440 more");
  EXPECT_EQ(refusal(R"({"start_time":0,"bucket_width":"1m","limit":1441})"), "limit integer_above_max_value");
  EXPECT_EQ(shown(read(R"({"start_time":0,"limit":180})", 180)), "0 180 more");
}

TEST(Buckets, GoOnWhereTheLastPageEnded) {
  std::string query = R"({"start_time":1763510399,"limit":3)";
  auto page = read(query + "}");
  EXPECT_EQ(shown(page), "1763424000 3 more");
  page = read(query + R"(,"page":")" + *page.next_page + "\"}");
  EXPECT_EQ(shown(page), "1763683200 3 more");
  page = read(query + R"(,"page":")" + *page.next_page + "\"}");
  EXPECT_EQ(shown(page), "1763942400 2");
}

TEST(Buckets, ACursorKeepsTheEndOfItsQuery) {
  const auto first = read(R"({"start_time":1764108000,"bucket_width":"1m","limit":30})");
  const std::string query =
      R"({"start_time":1764108000,"bucket_width":"1m","limit":30,"page":")" + *first.next_page + "\"}";
  const auto later = read_buckets(json::parse(query)->get_object(), now + 600, std::nullopt);
  EXPECT_EQ(shown(later), "1764109800 6");
}

TEST(Buckets, APageThatEndsEarlyGoesOnThere) {
  const std::string query = R"({"start_time":1763510399,"limit":3)";
  auto page = read(query + "}");
  end_page(page, page.end);
  EXPECT_EQ(shown(page), "1763424000 3 more");
  end_page(page, 1763424000 + 86'400);
  EXPECT_EQ(shown(page), "1763424000 1 more");
  page = read(query + R"(,"page":")" + *page.next_page + "\"}");
  EXPECT_EQ(shown(page), "1763510400 3 more") << "a whole page again";
  page = read(query + R"(,"page":")" + *page.next_page + "\"}");
  EXPECT_EQ(shown(page), "1763769600 3 more");
  page = read(query + R"(,"page":")" + *page.next_page + "\"}");
  EXPECT_EQ(shown(page), "1764028800 1") << "the last one";
  page = read(query + R"(,"end_time":1763769600})");
  EXPECT_EQ(shown(page), "1763424000 3 more");
  page = read(query + R"(,"end_time":1763683200})");
  EXPECT_EQ(shown(page), "1763424000 3") << "nothing comes later";
  end_page(page, 1763596800);
  EXPECT_EQ(shown(page), "1763424000 2 more") << "now something does";
}

TEST(Buckets, ForeignCursorsAreRefused) {
  const std::string next = *read(R"({"start_time":0,"end_time":864000,"bucket_width":"1m"})").next_page;
  EXPECT_EQ(next, "page_e10_d2f00");
  EXPECT_EQ(refusal(R"({"start_time":0,"end_time":864000,"bucket_width":"1m","page":"page_e10_d2f00"})"),
            "none");
  for (std::string_view query : {
           R"("end_time":864000,"bucket_width":"1d","page":"page_e10_d2f00")",
           R"("end_time":864001,"bucket_width":"1m","page":"page_e10_d2f00")",
           R"("end_time":864000,"bucket_width":"1m","page":"page_0_d2f00")",
           R"("end_time":864000,"bucket_width":"1m","page":"page_d2f00_d2f00")",
           R"("end_time":864000,"bucket_width":"1m","page":"page_e10")",
           R"("end_time":864000,"bucket_width":"1m","page":"page_e10_")",
           R"("end_time":864000,"bucket_width":"1m","page":"page_-e10_d2f00")",
           R"("end_time":864000,"bucket_width":"1m","page":"page_e10_ffffffffffffffffff")",
           R"("end_time":864000,"bucket_width":"1m","page":"")",
           R"("end_time":864000,"bucket_width":"1m","page":"next")",
       }) {
    EXPECT_EQ(refusal(R"({"start_time":0,)" + std::string(query) + "}"), "page invalid_value") << query;
  }
}

TEST(Buckets, TheEndIsAfterTheStart) {
  EXPECT_EQ(refusal(R"({"start_time":100,"end_time":100})"), "end_time invalid_value");
  EXPECT_EQ(refusal(R"({"start_time":100,"end_time":99})"), "end_time invalid_value");
  EXPECT_EQ(refusal(R"({"start_time":1764110130})"), "start_time invalid_value");
  EXPECT_EQ(refusal(R"({"start_time":9223372036854775807})"), "start_time integer_above_max_value");
  EXPECT_EQ(refusal(R"({"start_time":1,"end_time":9223372036854775807})"),
            "end_time integer_above_max_value");
}

}  // namespace
}  // namespace hearth::api
