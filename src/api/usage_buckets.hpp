// The spans of time that usage and costs are reported by, and pages of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "json/json.hpp"
#include "store/usage.hpp"

namespace hearth::api {

// Buckets lie on multiples of their width (UTC). The first of a query is the one that holds its start_time,
// the last the one before which or in which its end_time lies; each is reported whole.
struct BucketPage {
  store::UsageWidth width = store::UsageWidth::day;
  UnixSeconds start = 0;
  UnixSeconds end = 0;  // exclusive
  std::optional<std::string> next_page;
  UnixSeconds query_end = 0;  // as it was asked for

  std::size_t size() const { return static_cast<std::size_t>((end - start) / store::seconds_of(width)); }
  std::size_t index_of(UnixSeconds bucket) const {
    return static_cast<std::size_t>((bucket - start) / store::seconds_of(width));
  }
};

// `start_time`, `end_time`, `bucket_width`, `limit` and `page` of the query. ApiError 400 with the param for
// an end that is not after the start, a limit too high for the width, and a cursor that is not of this query.
// A cursor keeps the end of its query: without end_time the later pages end where the first one did.
// `most_days` replaces the highest limit of days.
BucketPage read_buckets(const json::object& query, UnixSeconds now,
                        std::optional<std::int64_t> most_days = std::nullopt);

// The page ends before the bucket that begins at `end`, where that is earlier: it would not have fit.
void end_page(BucketPage& page, UnixSeconds end);

// An empty list for each bucket, in the memory of one document.
std::vector<json::array> empty_results(const BucketPage& page);

// `results[i]` are those of the page's bucket i.
json::value render_buckets(const BucketPage& page, std::vector<json::array> results);

}  // namespace hearth::api
