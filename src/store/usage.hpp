// What was used and what it cost, summed up by minute, hour and day.
//
// A series is one combination of everything that usage is grouped and filtered by. Bytes of vector stores are
// no sum but a level: each change of a project's level is kept, and a bucket shows the level at its end.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "base/money.hpp"
#include "contract/usage_kind.hpp"
#include "contract/used.hpp"
#include "db/database.hpp"
#include "store/tenant.hpp"

namespace hearth::store {

enum class UsageWidth : std::uint8_t { minute, hour, day };
UnixSeconds seconds_of(UsageWidth width);

struct UsageSeries {
  Tenant tenant;
  contract::UsageKind kind = contract::UsageKind::completions;
  std::string user;  // empty: the key belongs to no user
  KeyId key;         // empty: there was none
  std::string model;
  contract::Delivery delivery = contract::Delivery::direct;
  std::string source;  // of images: "image.generation"
  std::string size;    // of images: "1024x1024"

  bool operator==(const UsageSeries&) const = default;
};

struct UsageSeriesHash {
  std::size_t operator()(const UsageSeries& series) const noexcept;
};

struct UsageCounts {
  std::int64_t requests = 0;
  std::int64_t input_tokens = 0;
  std::int64_t input_cached_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t input_audio_tokens = 0;
  std::int64_t output_audio_tokens = 0;
  std::int64_t images = 0;
  std::int64_t characters = 0;
  std::int64_t seconds = 0;
  std::int64_t sessions = 0;

  UsageCounts& operator+=(const UsageCounts& other);
  bool operator==(const UsageCounts&) const = default;
};

struct UsageDelta {
  UsageSeries series;
  UnixSeconds at = 0;
  UsageCounts counts;
};

struct CostDelta {
  Tenant tenant;
  UnixSeconds at = 0;
  std::string line_item;  // "MODEL, input"
  Money amount = 0;
};

// What one process adds at once. A writer numbers its batches from 1 on and goes to the next only when one is
// written; one whose outcome it does not know it adds again, as it was.
struct UsageBatch {
  std::string writer;  // the process
  std::int64_t number = 0;
  std::vector<UsageDelta> usage;
  std::vector<CostDelta> costs;
};

// What a project has spent in a month, with everything that was written.
struct Spending {
  ProjectId project;
  UnixSeconds month = 0;
  Money amount = 0;
};

enum class UsageDimension : std::uint8_t { project_id, user_id, api_key_id, model, batch, source, size };
inline constexpr std::size_t usage_dimensions = 7;
// As the API names it.
std::string_view name_of(UsageDimension dimension);

// Any of `values` passes; of the dimension batch they are "true" and "false".
struct UsageFilter {
  UsageDimension dimension;
  std::vector<std::string> values;
};

// What a page of results holds at the most, however many groups there are. It ends early, before the bucket
// with which it would hold more; its first bucket is always whole. What comes later is not read.
inline constexpr std::size_t most_results_of_page = 30'000;

struct UsageQuery {
  OrganizationId organization;
  contract::UsageKind kind = contract::UsageKind::completions;
  UsageWidth width = UsageWidth::day;
  UnixSeconds start = 0;  // both multiples of the width
  UnixSeconds end = 0;
  std::vector<UsageFilter> filters;
  std::vector<UsageDimension> group_by;  // each once
  std::size_t most_results = most_results_of_page;
};

// Values of the dimensions grouped by, at their place in UsageDimension; empty where the series has none.
using UsageGroup = std::array<std::optional<std::string>, usage_dimensions>;

struct UsageRow {
  UnixSeconds bucket = 0;
  std::size_t group = 0;  // index of `groups`
  UsageCounts counts;
};

// In the order of the buckets, then of the groups. Buckets without usage have no rows.
struct UsageSums {
  std::vector<UsageGroup> groups;
  std::vector<UsageRow> rows;
  UnixSeconds end = 0;  // the query's, or where the page ended early; so below
};

struct LevelQuery {
  OrganizationId organization;
  UsageWidth width = UsageWidth::day;
  UnixSeconds start = 0;
  UnixSeconds end = 0;
  std::vector<std::string> projects;  // empty: all
  enum class Group : std::uint8_t { none, project } group = Group::project;
  std::size_t most_results = most_results_of_page;
};

struct LevelRow {
  UnixSeconds bucket = 0;
  ProjectId project;       // empty: of all
  std::int64_t bytes = 0;  // never 0
};

struct Levels {
  std::vector<LevelRow> rows;
  UnixSeconds end = 0;
};

struct CostQuery {
  OrganizationId organization;
  UnixSeconds start = 0;  // days
  UnixSeconds end = 0;
  std::vector<std::string> projects;  // empty: all
  enum class Group : std::uint8_t { none, project, line_item, both } group = Group::none;
  std::size_t most_results = most_results_of_page;
};

struct CostRow {
  UnixSeconds bucket = 0;
  std::optional<std::string> project;
  std::optional<std::string> line_item;
  Money amount = 0;
};

struct CostSums {
  std::vector<CostRow> rows;
  UnixSeconds end = 0;
};

// Thread: any; `_in` the database's, inside write().
class Usage {
 public:
  explicit Usage(db::Database& database) : database_(database) {}

  // Adds everything, or nothing when it throws, unless the database says that it does not know. A batch that
  // is added already adds nothing. Returns what the projects of `batch.costs` have spent, either way.
  Task<std::vector<Spending>> add(const UsageBatch& batch, UnixSeconds now);

  Task<UsageSums> query(UsageQuery query);
  Task<CostSums> query_costs(CostQuery query);
  // The level at the end of each bucket, or now where that is later.
  Task<Levels> query_vector_store_bytes(LevelQuery query, UnixSeconds now);

  // Whoever changes a project's vector stores reports what they hold from now on, in the same transaction.
  static void set_vector_store_bytes_in(db::Connection& connection, const Tenant& tenant, std::int64_t bytes,
                                        UnixSeconds now);

 private:
  struct Place {
    std::int64_t scope = 0;
    std::int64_t series = 0;
  };
  using Places = std::unordered_map<UsageSeries, Place, UsageSeriesHash>;

  static Place place_in(db::Connection& connection, const UsageSeries& series);
  std::optional<Place> find_place(const UsageSeries& series);
  void remember(const Places& places);

  db::Database& database_;
  std::mutex mutex_;
  Places places_;  // guarded by mutex_
};

}  // namespace hearth::store
