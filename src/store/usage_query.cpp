#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "store/usage.hpp"
#include "store/usage_tables.hpp"

namespace hearth::store {
namespace usage_tables {

void restrict(std::string& sql, std::vector<db::Param>& values, std::string_view column,
              const std::vector<std::string>& allowed) {
  fmt::format_to(std::back_inserter(sql), " AND {} IN (", column);
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    values.emplace_back(allowed[i]);
    fmt::format_to(std::back_inserter(sql), "{}${}", i == 0 ? "" : ", ", values.size());
  }
  sql += ")";
}

std::int64_t find_scope(db::Connection& connection, const OrganizationId& organization,
                        contract::UsageKind kind) {
  const db::Rows rows =
      connection.query("SELECT scope FROM usage_series WHERE organization_id = $1 AND kind = $2 LIMIT 1",
                       {organization, of(kind).name});
  return rows.empty() ? 0 : rows[0].get<std::int64_t>(0);
}

}  // namespace usage_tables

namespace {

using namespace usage_tables;

// Whole buckets, without telling series apart.
UsageSums read_totals(db::Connection& connection, const UsageQuery& query, std::int64_t scope) {
  std::string sums;
  for (std::size_t measure : of(query.kind).counted)
    fmt::format_to(std::back_inserter(sums), ", CAST(SUM(t.{}) AS BIGINT)", measures[measure].column);
  const bool filtered = !query.filters.empty();
  std::vector<db::Param> values{scope, query.start, query.end};
  // CROSS JOIN: the buckets first, whatever a planner guesses of the series.
  std::string sql =
      fmt::format("SELECT t.bucket{} FROM {} t{} WHERE t.scope = $1 AND t.bucket >= $2 AND t.bucket < $3{}",
                  sums, table_of(query.width), filtered ? " CROSS JOIN usage_series d" : "",
                  filtered ? " AND d.id = t.series" : "");
  for (const UsageFilter& filter : query.filters)
    restrict(sql, values, fmt::format("d.{}", name_of(filter.dimension)), filter.values);
  sql += " GROUP BY t.bucket ORDER BY t.bucket";
  UsageSums out{.groups = {UsageGroup{}}, .end = query.end};
  for (const db::Row row : connection.query(sql, values)) {
    UsageRow& made = out.rows.emplace_back(row.get<UnixSeconds>(0));
    std::size_t column = 1;
    for (std::size_t measure : of(query.kind).counted)
      made.counts.*measures[measure].count = row.get<std::int64_t>(column++);
  }
  return out;
}

// The series that a query asks for, by the group that each belongs to.
struct Groups {
  std::vector<UsageGroup> names;                            // in order
  std::unordered_map<std::int64_t, std::size_t> of_series;  // indexes of `names`
};

Groups read_groups(db::Connection& connection, const UsageQuery& query) {
  std::string columns;
  for (UsageDimension dimension : query.group_by)
    fmt::format_to(std::back_inserter(columns), ", {}", name_of(dimension));
  std::vector<db::Param> values{query.organization, of(query.kind).name};
  std::string sql =
      fmt::format("SELECT id{} FROM usage_series WHERE organization_id = $1 AND kind = $2", columns);
  for (const UsageFilter& filter : query.filters)
    restrict(sql, values, name_of(filter.dimension), filter.values);
  const db::Rows rows = connection.query(sql, values);
  std::map<UsageGroup, std::vector<std::int64_t>> sorted;
  for (const db::Row row : rows) {
    UsageGroup name;
    std::size_t column = 1;
    for (UsageDimension dimension : query.group_by)
      name[static_cast<std::size_t>(dimension)] = row.get<std::string>(column++);
    sorted[std::move(name)].push_back(row.get<std::int64_t>(0));
  }
  Groups groups;
  for (const auto& [name, series] : sorted) {
    for (std::int64_t id : series)
      groups.of_series.emplace(id, groups.names.size());
    groups.names.push_back(name);
  }
  return groups;
}

// So that few rows are in memory at a time, and few are read that the page does not show.
constexpr std::size_t most_rows_at_once = 10'000;
constexpr std::size_t least_rows_at_once = 500;
constexpr std::size_t few_series = 64;

// The rows of a bucket in the order of the index, added up here: sorting them by texts takes a database many
// times longer.
class Grouping {
 public:
  Grouping(const UsageQuery& query, Groups groups)
      : query_(query), groups_(std::move(groups)), sums_(groups_.names.size()), bucket_(query.start) {}

  UsageSums read(db::Connection& connection, std::int64_t scope) {
    // A result needs a row at the least.
    while (!full_ && read_some(connection, scope,
                               std::clamp(query_.most_results - std::min(query_.most_results, out_.size()),
                                          least_rows_at_once, most_rows_at_once))) {
    }
    if (!full_) emit();
    return {std::move(groups_.names), std::move(out_), full_ ? bucket_ : query_.end};
  }

 private:
  struct Sum {
    bool any = false;
    UsageCounts counts;
  };

  // From behind the last row on. False when there are no more.
  bool read_some(db::Connection& connection, std::int64_t scope, std::size_t count) {
    std::string columns;
    for (std::size_t measure : of(query_.kind).counted)
      fmt::format_to(std::back_inserter(columns), ", {}", measures[measure].column);
    std::vector<db::Param> values{scope, bucket_, query_.end, series_, count};
    const std::size_t fixed = values.size();
    std::string sql = fmt::format(
        "SELECT bucket, series{} FROM {} WHERE scope = $1 AND bucket >= $2 AND bucket < $3 AND (bucket > $2 "
        "OR "
        "series > $4)",
        columns, table_of(query_.width));
    if (!query_.filters.empty() && groups_.of_series.size() <= few_series) {
      sql += " AND series IN (";
      for (const auto& [series, group] : groups_.of_series) {
        values.emplace_back(series);
        fmt::format_to(std::back_inserter(sql), "{}${}", values.size() == fixed + 1 ? "" : ", ",
                       values.size());
      }
      sql += ")";
    }
    sql += " ORDER BY bucket, series LIMIT $5";
    const db::Rows rows = connection.query(sql, values);
    for (const db::Row row : rows) {
      if (const UnixSeconds next = row.get<UnixSeconds>(0); next != bucket_) {
        emit();
        if (full_) return false;
        bucket_ = next;
      }
      series_ = row.get<std::int64_t>(1);
      add(row);
    }
    return rows.size() == count;
  }

  void add(const db::Row& row) {
    const auto group = groups_.of_series.find(row.get<std::int64_t>(1));
    if (group == groups_.of_series.end()) return;
    Sum& sum = sums_[group->second];
    any_ += sum.any ? 0 : 1;
    sum.any = true;
    std::size_t column = 2;
    for (std::size_t measure : of(query_.kind).counted)
      sum.counts.*measures[measure].count += row.get<std::int64_t>(column++);
  }

  void emit() {
    full_ = bucket_ > query_.start && out_.size() + any_ > query_.most_results;
    if (full_) return;
    for (std::size_t i = 0; i < sums_.size() && any_ > 0; ++i) {
      if (!sums_[i].any) continue;
      out_.push_back({bucket_, i, sums_[i].counts});
      sums_[i] = {};
    }
    any_ = 0;
  }

  const UsageQuery& query_;
  Groups groups_;
  std::vector<Sum> sums_;    // of the bucket that is being read
  std::size_t any_ = 0;      // of them there is something in
  UnixSeconds bucket_;       // of the last row
  std::int64_t series_ = 0;  // of the last row; ids begin with 1
  bool full_ = false;        // bucket_ does not fit the page
  std::vector<UsageRow> out_;
};

UsageSums read_usage(db::Connection& connection, const UsageQuery& query) {
  const std::int64_t scope = find_scope(connection, query.organization, query.kind);
  if (scope == 0) return {.end = query.end};
  if (query.group_by.empty()) return read_totals(connection, query, scope);
  Groups groups = read_groups(connection, query);
  if (groups.names.empty()) return {.end = query.end};
  return Grouping(query, std::move(groups)).read(connection, scope);
}

}  // namespace

Task<UsageSums> Usage::query(UsageQuery query) {
  co_return co_await database_.read(
      [&query](db::Connection& connection) { return read_usage(connection, query); });
}

}  // namespace hearth::store
