#include "store/usage.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "store/budgets.hpp"
#include "store/sequence.hpp"
#include "store/usage_tables.hpp"

namespace hearth::store {
namespace {

using namespace usage_tables;

using Width = UsageWidth;
constexpr std::size_t max_places = 100'000;
constexpr UnixSeconds writers_kept = 30 * 86'400;  // after their last batch

// Once in the life of each writer is often enough for what all writers share.
bool is_first(const UsageBatch& batch) {
  return batch.number == 1;
}

// The organizations of the batch; with `shared` also what belongs to none: the numbers of new series, and the
// writers of long ago.
enum class Shared { untouched, touched };
db::WriteScope scope_of(const UsageBatch& batch, Shared shared) {
  std::optional<db::WriteScope> scope;
  const auto include = [&scope](const db::WriteScope& more) {
    scope ? * scope |= more : scope.emplace(more);
  };
  for (const UsageDelta& delta : batch.usage)
    include(delta.series.tenant.organization);
  for (const CostDelta& cost : batch.costs)
    include(cost.tenant.organization);
  if (shared == Shared::touched || !scope) include(db::WriteScope::named("usage"));
  return *scope;
}

// False when it is written already.
bool begin_batch(db::Connection& connection, const UsageBatch& batch, UnixSeconds now) {
  const db::Rows rows =
      connection.query("SELECT last_batch FROM usage_writers WHERE writer = $1", {batch.writer});
  if (!rows.empty() && rows[0].get<std::int64_t>(0) >= batch.number) return false;
  if (is_first(batch))
    connection.execute("DELETE FROM usage_writers WHERE updated_at < $1", {now - writers_kept});
  connection.execute(
      "INSERT INTO usage_writers (writer, last_batch, updated_at) VALUES ($1, $2, $3) ON CONFLICT (writer) "
      "DO UPDATE SET last_batch = excluded.last_batch, updated_at = excluded.updated_at",
      {batch.writer, batch.number, now});
  return true;
}

std::string upsert_statement(std::string_view table) {
  std::string columns, values, sums;
  for (std::size_t i = 0; i < measures.size(); ++i) {
    const std::string_view column = measures[i].column;
    fmt::format_to(std::back_inserter(columns), ", {}", column);
    fmt::format_to(std::back_inserter(values), ", ${}", i + 4);
    fmt::format_to(std::back_inserter(sums), "{}{} = {}.{} + excluded.{}", i == 0 ? "" : ", ", column, table,
                   column, column);
  }
  return fmt::format(
      "INSERT INTO {} (scope, bucket, series{}) VALUES ($1, $2, $3{}) ON CONFLICT (scope, bucket, series) DO "
      "UPDATE SET {}",
      table, columns, values, sums);
}

std::vector<CostRow> read_cost_rows(db::Connection& connection, const CostQuery& query, UnixSeconds end,
                                    std::size_t most) {
  using enum CostQuery::Group;
  const bool by_project = query.group == project || query.group == both;
  const bool by_item = query.group == line_item || query.group == both;
  const std::string groups =
      fmt::format("{}{}", by_project ? ", project_id" : "", by_item ? ", line_item" : "");
  std::vector<db::Param> values{query.organization, query.start, end, most};
  std::string sql = fmt::format(
      "SELECT bucket, CAST(SUM(amount) AS BIGINT){} FROM cost_days WHERE organization_id = $1 AND bucket >= "
      "$2 AND bucket < $3",
      groups);
  if (!query.projects.empty()) restrict(sql, values, "project_id", query.projects);
  fmt::format_to(std::back_inserter(sql), " GROUP BY bucket{} ORDER BY bucket{} LIMIT $4", groups, groups);
  std::vector<CostRow> out;
  for (const db::Row row : connection.query(sql, values)) {
    CostRow& made = out.emplace_back();
    made.bucket = row.get<UnixSeconds>(0);
    made.amount = row.get<Money>(1);
    if (by_project) made.project = row.get<std::string>(2);
    if (by_item) made.line_item = row.get<std::string>(by_project ? 3 : 2);
  }
  return out;
}

CostSums read_costs(db::Connection& connection, const CostQuery& query) {
  CostSums out{read_cost_rows(connection, query, query.end, query.most_results + 1), query.end};
  if (out.rows.size() <= query.most_results) return out;
  const UnixSeconds cut = out.rows.back().bucket;  // the first that does not fit
  if (cut > query.start) {
    std::erase_if(out.rows, [cut](const CostRow& row) { return row.bucket == cut; });
    out.end = cut;
    return out;
  }
  constexpr std::size_t all = std::numeric_limits<std::int64_t>::max();
  out.end = query.start + seconds_of(Width::day);
  out.rows = read_cost_rows(connection, query, out.end, all);
  return out;
}

// The last change before a moment holds at that moment. Buckets are read some at a time, so that a page that
// ends early reads few that it does not show.
class LevelReading {
 public:
  LevelReading(db::Connection& connection, const LevelQuery& query)
      : connection_(connection), query_(query) {}

  Levels read(UnixSeconds now) {
    const UnixSeconds width = seconds_of(query_.width);
    read_first();
    Levels out{.end = query_.end};
    db::Rows changes(3);
    std::size_t next = 0;
    UnixSeconds known = query_.start;
    for (UnixSeconds bucket = query_.start; bucket < query_.end && bucket <= now; bucket += width) {
      if (bucket == known) {
        known = std::min(bucket + buckets_at_once * width, query_.end);
        changes = read_changes(bucket, known);
        next = 0;
      }
      for (; next < changes.size() && changes[next].get<UnixSeconds>(1) < bucket + width; ++next)
        set(changes[next].get<ProjectId>(0), changes[next].get<std::int64_t>(2));
      const std::size_t more =
          query_.group == LevelQuery::Group::project ? levels_.size() : (total_ != 0 ? 1 : 0);
      if (out.rows.size() + more > query_.most_results && bucket > query_.start) {
        out.end = bucket;
        break;
      }
      show(bucket, out.rows);
    }
    return out;
  }

 private:
  static constexpr UnixSeconds buckets_at_once = 60;

  // The last change of each project before the first bucket.
  void read_first() {
    std::vector<db::Param> values{query_.organization, query_.start};
    std::string sql =
        "SELECT project_id, changed_at, bytes FROM vector_store_bytes WHERE organization_id = $1 AND "
        "changed_at "
        "= (SELECT MAX(o.changed_at) FROM vector_store_bytes o WHERE o.organization_id = "
        "vector_store_bytes.organization_id AND o.project_id = vector_store_bytes.project_id AND "
        "o.changed_at "
        "< $2)";
    if (!query_.projects.empty()) restrict(sql, values, "project_id", query_.projects);
    for (const db::Row row : connection_.query(sql, values))
      set(row.get<ProjectId>(0), row.get<std::int64_t>(2));
  }

  db::Rows read_changes(UnixSeconds start, UnixSeconds end) {
    std::vector<db::Param> values{query_.organization, start, end};
    std::string sql =
        "SELECT project_id, changed_at, bytes FROM vector_store_bytes WHERE organization_id = $1 AND "
        "changed_at "
        ">= $2 AND changed_at < $3";
    if (!query_.projects.empty()) restrict(sql, values, "project_id", query_.projects);
    sql += " ORDER BY changed_at, project_id";
    return connection_.query(sql, values);
  }

  void set(const ProjectId& project, std::int64_t bytes) {
    const auto [known, added] = levels_.try_emplace(project, 0);
    total_ += bytes - known->second;
    known->second = bytes;
    if (bytes == 0) levels_.erase(known);
  }

  void show(UnixSeconds bucket, std::vector<LevelRow>& rows) const {
    if (query_.group == LevelQuery::Group::none) {
      if (total_ != 0) rows.push_back({bucket, ProjectId(), total_});
      return;
    }
    for (const auto& [project, bytes] : levels_)
      rows.push_back({bucket, project, bytes});
  }

  db::Connection& connection_;
  const LevelQuery& query_;
  std::map<ProjectId, std::int64_t> levels_;  // never 0
  std::int64_t total_ = 0;
};

void add_spending(db::Connection& connection, std::vector<CostDelta> costs, std::vector<Spending>& spent) {
  std::ranges::sort(costs, {}, [](const CostDelta& cost) {
    return std::tie(cost.tenant.organization, cost.at, cost.tenant.project, cost.line_item);
  });
  std::map<std::pair<ProjectId, UnixSeconds>, std::pair<OrganizationId, Money>> months;
  for (const CostDelta& cost : costs) {
    connection.execute(
        "INSERT INTO cost_days (organization_id, bucket, project_id, line_item, amount) VALUES ($1, $2, $3, "
        "$4, $5) ON CONFLICT (organization_id, bucket, project_id, line_item) DO UPDATE SET amount = "
        "cost_days.amount + excluded.amount",
        {cost.tenant.organization, bucket_of(cost.at, Width::day), cost.tenant.project, cost.line_item,
         cost.amount});
    auto& month = months[{cost.tenant.project, month_of(cost.at)}];
    month.first = cost.tenant.organization;
    month.second += cost.amount;
  }
  for (const auto& [key, sum] : months) {
    const db::Rows rows = connection.query(
        "INSERT INTO project_spending (project_id, month, organization_id, amount) VALUES ($1, $2, $3, $4) "
        "ON "
        "CONFLICT (project_id, month) DO UPDATE SET amount = project_spending.amount + excluded.amount "
        "RETURNING amount",
        {key.first, key.second, sum.first, sum.second});
    spent.push_back({key.first, key.second, rows[0].get<Money>(0)});
  }
}

// The spending of a batch that is written already.
std::vector<Spending> read_spending(db::Connection& connection, const std::vector<CostDelta>& costs) {
  std::set<std::pair<ProjectId, UnixSeconds>> months;
  for (const CostDelta& cost : costs)
    months.emplace(cost.tenant.project, month_of(cost.at));
  std::vector<Spending> spent;
  for (const auto& [project, month] : months) {
    const db::Rows rows = connection.query(
        "SELECT amount FROM project_spending WHERE project_id = $1 AND month = $2", {project, month});
    spent.push_back({project, month, rows.empty() ? 0 : rows[0].get<Money>(0)});
  }
  return spent;
}

}  // namespace

UnixSeconds seconds_of(UsageWidth width) {
  switch (width) {
    case Width::minute:
      return 60;
    case Width::hour:
      return 3600;
    case Width::day:
      return 86'400;
  }
  std::unreachable();
}

std::string_view name_of(UsageDimension dimension) {
  static constexpr std::array<std::string_view, usage_dimensions> names{
      "project_id", "user_id", "api_key_id", "model", "batch", "source", "size"};
  return names[static_cast<std::size_t>(dimension)];
}

std::size_t UsageSeriesHash::operator()(const UsageSeries& series) const noexcept {
  std::size_t hash = static_cast<std::size_t>(series.kind) * 2 + static_cast<std::size_t>(series.delivery);
  const auto mix = [&hash](const std::string& text) {
    hash = hash * 1'099'511'628'211ULL + std::hash<std::string>{}(text);
  };
  mix(series.tenant.organization.str());
  mix(series.tenant.project.str());
  mix(series.user);
  mix(series.key.str());
  mix(series.model);
  mix(series.source);
  mix(series.size);
  return hash;
}

UsageCounts& UsageCounts::operator+=(const UsageCounts& other) {
  for (const Measure& measure : measures)
    this->*measure.count += other.*measure.count;
  return *this;
}

Usage::Place Usage::place_in(db::Connection& connection, const UsageSeries& series) {
  const std::string_view kind = of(series.kind).name;
  const auto find = [&] {
    return connection.query(
        "SELECT scope, id FROM usage_series WHERE organization_id = $1 AND kind = $2 AND project_id = $3 AND "
        "user_id = $4 AND api_key_id = $5 AND model = $6 AND batch = $7 AND source = $8 AND size = $9",
        {series.tenant.organization, kind, series.tenant.project, series.user, series.key, series.model,
         batch_text(series.delivery), series.source, series.size});
  };
  db::Rows rows = find();
  if (rows.empty()) {
    const std::int64_t id = next_sequence(connection, OrganizationId(), "usage_series");
    const std::int64_t scope = find_scope(connection, series.tenant.organization, series.kind);
    connection.execute(
        "INSERT INTO usage_series (id, scope, organization_id, kind, project_id, user_id, api_key_id, model, "
        "batch, source, size) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
        {id, scope == 0 ? id : scope, series.tenant.organization, kind, series.tenant.project, series.user,
         series.key, series.model, batch_text(series.delivery), series.source, series.size});
    rows = find();
  }
  return {rows[0].get<std::int64_t>(0), rows[0].get<std::int64_t>(1)};
}

std::optional<Usage::Place> Usage::find_place(const UsageSeries& series) {
  std::lock_guard lock(mutex_);
  const auto found = places_.find(series);
  if (found == places_.end()) return std::nullopt;
  return found->second;
}

void Usage::remember(const Places& places) {
  if (places.empty()) return;
  std::lock_guard lock(mutex_);
  if (places_.size() >= max_places) places_.clear();
  places_.insert(places.begin(), places.end());
}

Task<std::vector<Spending>> Usage::add(const UsageBatch& batch, UnixSeconds now) {
  static const std::array statements{upsert_statement(tables[0].name), upsert_statement(tables[1].name),
                                     upsert_statement(tables[2].name)};
  std::vector<std::pair<std::optional<Place>, const UsageDelta*>> rows;
  for (const UsageDelta& delta : batch.usage)
    rows.emplace_back(find_place(delta.series), &delta);
  const bool is_known = std::ranges::all_of(rows, [](const auto& row) { return row.first.has_value(); });
  const Shared shared = is_known && !is_first(batch) ? Shared::untouched : Shared::touched;
  Places found;  // remembered once they are committed
  auto spent = co_await database_.write(scope_of(batch, shared), [&](db::Connection& connection) {
    if (!begin_batch(connection, batch, now)) return read_spending(connection, batch.costs);
    for (auto& [place, delta] : rows) {
      if (place) continue;
      place = place_in(connection, delta->series);
      found.emplace(delta->series, *place);
    }
    for (const auto& [place, delta] : rows) {
      for (const Table& table : tables) {
        std::vector<db::Param> values{place->scope, bucket_of(delta->at, table.width), place->series};
        for (const Measure& measure : measures)
          values.emplace_back(delta->counts.*measure.count);
        connection.execute(statements[static_cast<std::size_t>(table.width)], values);
      }
    }
    std::vector<Spending> totals;
    add_spending(connection, batch.costs, totals);
    return totals;
  });
  remember(found);
  co_return spent;
}

Task<CostSums> Usage::query_costs(CostQuery query) {
  co_return co_await database_.read(
      [&query](db::Connection& connection) { return read_costs(connection, query); });
}

Task<Levels> Usage::query_vector_store_bytes(LevelQuery query, UnixSeconds now) {
  co_return co_await database_.read(
      [&query, now](db::Connection& connection) { return LevelReading(connection, query).read(now); });
}

void Usage::set_vector_store_bytes_in(db::Connection& connection, const Tenant& tenant, std::int64_t bytes,
                                      UnixSeconds now) {
  connection.execute(
      "INSERT INTO vector_store_bytes (organization_id, project_id, changed_at, bytes) VALUES ($1, $2, $3, "
      "$4) "
      "ON CONFLICT (organization_id, project_id, changed_at) DO UPDATE SET bytes = excluded.bytes",
      {tenant.organization, tenant.project, bucket_of(now, Width::minute), bytes});
}

}  // namespace hearth::store
