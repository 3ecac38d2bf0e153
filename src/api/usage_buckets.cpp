#include "api/usage_buckets.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "contract/fields.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;
using store::UsageWidth;

constexpr UnixSeconds last_time = 253'402'300'799;  // of the year 9999
constexpr std::string_view cursor_prefix = "page_";

struct Width {
  std::string_view name;
  UsageWidth width;
  std::int64_t default_limit;
  std::int64_t max_limit;
};
constexpr std::array widths{Width{"1m", UsageWidth::minute, 60, 1440}, Width{"1h", UsageWidth::hour, 24, 168},
                            Width{"1d", UsageWidth::day, 7, 31}};

struct Cursor {
  UnixSeconds start = 0;
  UnixSeconds end = 0;
};

ApiError wrong(std::string_view code, std::string message, std::string_view param) {
  return ApiError::invalid_request(code, std::move(message), std::string(param));
}

std::string write_cursor(const Cursor& cursor) {
  return fmt::format("{}{:x}_{:x}", cursor_prefix, cursor.start, cursor.end);
}

std::optional<UnixSeconds> parse_hex(std::string_view text) {
  UnixSeconds value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > last_time) {
    return std::nullopt;
  }
  return value;
}

std::optional<Cursor> parse_cursor(std::string_view text) {
  if (!text.starts_with(cursor_prefix)) return std::nullopt;
  text.remove_prefix(cursor_prefix.size());
  const std::size_t middle = text.find('_');
  if (middle == std::string_view::npos) return std::nullopt;
  const auto start = parse_hex(text.substr(0, middle));
  const auto end = parse_hex(text.substr(middle + 1));
  if (!start || !end) return std::nullopt;
  return Cursor{*start, *end};
}

std::optional<UnixSeconds> read_time(const json::object& query, std::string_view name) {
  const auto time = json::find_integer(query, name);
  if (time && *time > last_time) {
    throw wrong(
        "integer_above_max_value",
        fmt::format("Invalid '{}': expected a value <= {}, but got {} instead.", name, last_time, *time),
        name);
  }
  return time;
}

const Width& read_width(const json::object& query) {
  const std::string_view name = json::find_string(query, field::bucket_width).value_or("1d");
  return *std::ranges::find(widths, name, &Width::name);
}

std::int64_t read_limit(const json::object& query, const Width& width,
                        std::optional<std::int64_t> most_days) {
  const std::int64_t limit = json::find_integer(query, field::limit).value_or(width.default_limit);
  const std::int64_t most = most_days && width.width == UsageWidth::day ? *most_days : width.max_limit;
  if (limit > most) {
    throw wrong("integer_above_max_value",
                fmt::format("Invalid 'limit': at most {} buckets of the width '{}' fit a page, but got {}.",
                            most, width.name, limit),
                field::limit);
  }
  return limit;
}

}  // namespace

BucketPage read_buckets(const json::object& query, UnixSeconds now, std::optional<std::int64_t> most_days) {
  const Width& width = read_width(query);
  const UnixSeconds step = store::seconds_of(width.width);
  const std::int64_t limit = read_limit(query, width, most_days);
  const UnixSeconds start = *read_time(query, field::start_time);
  const auto asked_end = read_time(query, field::end_time);

  std::optional<Cursor> cursor;
  if (const auto page = json::find_string(query, field::page)) {
    cursor = parse_cursor(*page);
    const bool fits = cursor && cursor->start % step == 0 && cursor->start > start &&
                      cursor->start < cursor->end && asked_end.value_or(cursor->end) == cursor->end;
    if (!fits) {
      throw wrong("invalid_value", "Invalid 'page': it is not the 'next_page' of a reply to this query.",
                  field::page);
    }
  }
  const UnixSeconds end = asked_end.value_or(cursor ? cursor->end : now);
  if (end <= start) {
    const std::string_view param = asked_end ? field::end_time : field::start_time;
    throw wrong("invalid_value",
                asked_end ? "Invalid 'end_time': it must be after 'start_time'."
                          : "Invalid 'start_time': it must lie in the past where there is no 'end_time'.",
                param);
  }
  BucketPage page{
      .width = width.width, .start = cursor ? cursor->start : start - start % step, .query_end = end};
  const UnixSeconds last = (end - 1) / step * step + step;
  page.end = std::min(last, page.start + limit * step);
  if (page.end < last) page.next_page = write_cursor({page.end, end});
  return page;
}

void end_page(BucketPage& page, UnixSeconds end) {
  if (end >= page.end) return;
  page.end = end;
  page.next_page = write_cursor({end, page.query_end});
}

std::vector<json::array> empty_results(const BucketPage& page) {
  const auto memory = boost::json::make_shared_resource<boost::json::monotonic_resource>();
  std::vector<json::array> results;
  results.reserve(page.size());
  for (std::size_t i = 0; i < page.size(); ++i)
    results.emplace_back(memory);
  return results;
}

json::value render_buckets(const BucketPage& page, std::vector<json::array> results) {
  const UnixSeconds step = store::seconds_of(page.width);
  const auto memory = results.front().storage();
  json::array data(memory);
  data.reserve(page.size());
  for (std::size_t i = 0; i < page.size(); ++i) {
    const UnixSeconds start = page.start + static_cast<UnixSeconds>(i) * step;
    json::object bucket(memory);
    bucket.reserve(4);
    bucket[field::object] = "bucket";
    bucket[field::start_time] = start;
    bucket[field::end_time] = start + step;
    bucket.emplace(field::results, std::move(results[i]));
    data.emplace_back(std::move(bucket));
  }
  json::object reply(memory);
  reply[field::object] = "page";
  reply.emplace(field::data, std::move(data));
  reply[field::has_more] = page.next_page.has_value();
  reply[field::next_page] = nullptr;
  if (page.next_page) reply[field::next_page] = *page.next_page;
  return json::value(std::move(reply));
}

}  // namespace hearth::api
