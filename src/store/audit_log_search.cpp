#include "store/audit_log_search.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace hearth::store {
namespace {

constexpr std::size_t count_bound = 500;        // how far events are counted to choose a leader
constexpr std::size_t max_combinations = 1000;  // of the values of a pair of lists

constexpr std::string_view resources_column = "resource_id";
// As the indexes of migration 3 begin.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> indexed_pairs{{
    {resources_column, "type"},
    {"actor_id", "type"},
    {"actor_id", "project_id"},
    {"project_id", "type"},
}};

// Places of the log in a span; further conditions may follow.
constexpr std::string_view in_span =
    "organization_id = $1 AND (effective_at, sequence) > ($2, $3) AND (effective_at, sequence) < ($4, $5)";

std::vector<db::Param> span_params(const OrganizationId& organization, const AuditSpan& span) {
  return {organization, span.low.at, span.low.sequence, span.high.at, span.high.sequence};
}

std::string placeholders(std::vector<db::Param>& params, const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) {
    params.emplace_back(value);
    text += fmt::format("{}${}", text.empty() ? "" : ", ", params.size());
  }
  return text;
}

// Calls `visit` with each combination of the lists' values until it returns false.
template <class Leader, class Visit>
void for_each_combination(const Leader& leader, Visit visit) {
  if (leader.empty()) {
    visit({});
    return;
  }
  for (const std::string& first : *leader[0]->values) {
    if (leader.size() == 1) {
      if (!visit({first})) return;
      continue;
    }
    for (const std::string& second : *leader[1]->values) {
      if (!visit({first, second})) return;
    }
  }
}

}  // namespace

AuditLogSearch::AuditLogSearch(db::Connection& connection, const OrganizationId& organization,
                               const AuditLogFilter& filter)
    : connection_(connection), organization_(organization) {
  // From what is usually rare to what is usually frequent.
  for (const List& list : {List{resources_column, &filter.resources}, List{"actor_id", &filter.actor_ids},
                           List{"actor_email", &filter.actor_emails}, List{"project_id", &filter.projects},
                           List{"type", &filter.types}}) {
    if (!list.values->empty()) lists_.push_back(list);
  }
}

std::vector<AuditPlace> AuditLogSearch::find(const AuditSpan& span, Order order, std::size_t limit) {
  const Leader leader = choose(span);
  std::vector<AuditPlace> found;
  for_each_combination(leader, [&](const Values& values) {
    const auto more = read(leader, values, span, order, limit);
    found.insert(found.end(), more.begin(), more.end());
    return true;
  });
  if (order == Order::ascending) {
    std::ranges::sort(found);
  } else {
    std::ranges::sort(found, std::ranges::greater{});
  }
  // An event that changed two of the resources asked for is found twice.
  const auto repeated = std::ranges::unique(found);
  found.erase(repeated.begin(), repeated.end());
  if (found.size() > limit) found.resize(limit);
  return found;
}

bool AuditLogSearch::is_resources(const Leader& leader) {
  return !leader.empty() && leader[0]->column == resources_column;
}

std::vector<AuditLogSearch::Leader> AuditLogSearch::leaders() const {
  std::vector<Leader> found;
  const auto find_list = [this](std::string_view column) -> const List* {
    const auto list = std::ranges::find(lists_, column, &List::column);
    return list == lists_.end() ? nullptr : &*list;
  };
  for (const auto& [first_column, second_column] : indexed_pairs) {
    const List* first = find_list(first_column);
    const List* second = find_list(second_column);
    if (first == nullptr || second == nullptr) continue;
    if (first->values->size() * second->values->size() <= max_combinations) found.push_back({first, second});
  }
  for (const List& list : lists_)
    found.push_back({&list});
  return found;
}

AuditLogSearch::Leader AuditLogSearch::choose(const AuditSpan& span) {
  if (lists_.empty()) return {};
  const std::vector<Leader> possible = leaders();
  if (possible.front().size() == lists_.size()) return possible.front();  // nothing is left to check
  Leader best;
  std::size_t fewest = count(best, {}, span, count_bound);
  for (const Leader& leader : possible) {
    const std::size_t counted = count(leader, span, fewest);
    if (counted >= fewest) continue;
    fewest = counted;
    best = leader;
  }
  // Where all are frequent, the first covers the most.
  return fewest < count_bound ? best : possible.front();
}

std::size_t AuditLogSearch::count(const Leader& leader, const AuditSpan& span, std::size_t bound) {
  std::size_t sum = 0;
  for_each_combination(leader, [&](const Values& values) {
    if (sum < bound) sum += count(leader, values, span, bound - sum);
    return sum < bound;
  });
  return sum;
}

std::size_t AuditLogSearch::count(const Leader& leader, const Values& values, const AuditSpan& span,
                                  std::size_t bound) {
  std::vector<db::Param> params = span_params(organization_, span);
  params.emplace_back(bound);
  std::string conditions(in_span);
  for (std::size_t i = 0; i < leader.size(); ++i) {
    params.emplace_back(values[i]);
    conditions += fmt::format(" AND {} = ${}", leader[i]->column, params.size());
  }
  return connection_
      .query(fmt::format("SELECT COUNT(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT $6) AS counted",
                         is_resources(leader) ? "audit_log_resources" : "audit_logs", conditions),
             params)[0]
      .get<std::size_t>(0);
}

std::vector<AuditPlace> AuditLogSearch::read(const Leader& leader, const Values& values,
                                             const AuditSpan& span, Order order, std::size_t limit) {
  std::vector<db::Param> params = span_params(organization_, span);
  std::string conditions(in_span);
  for (std::size_t i = 0; i < leader.size(); ++i) {
    params.emplace_back(values[i]);
    conditions += fmt::format(" AND {} = ${}", leader[i]->column, params.size());
  }
  // What is checked row by row stands inside CASE, where no index is taken for it.
  std::string own;        // of the log's row
  std::string elsewhere;  // of the table of resources
  for (const List& list : lists_) {
    if (std::ranges::find(leader, &list) != leader.end()) continue;
    const std::string alternatives = placeholders(params, *list.values);
    if (list.column == resources_column) {
      elsewhere += fmt::format(
          " AND EXISTS (SELECT 1 FROM audit_log_resources r WHERE r.organization_id = $1 "
          "AND r.resource_id IN ({}) AND r.effective_at = places.effective_at "
          "AND r.sequence = places.sequence)",
          alternatives);
    } else {
      own += fmt::format(" AND CASE WHEN {} IN ({}) THEN 1 ELSE 0 END = 1", list.column, alternatives);
    }
  }
  if (is_resources(leader) && !own.empty()) {
    own = fmt::format(
        " AND EXISTS (SELECT 1 FROM audit_logs a WHERE a.organization_id = $1 "
        "AND a.sequence = places.sequence{})",
        own);
  }
  params.emplace_back(limit);
  const std::string_view direction = order == Order::ascending ? "" : " DESC";
  const db::Rows rows =
      connection_.query(fmt::format("SELECT effective_at, sequence FROM {} AS places WHERE {}{}{} "
                                    "ORDER BY effective_at{}, sequence{} LIMIT ${}",
                                    is_resources(leader) ? "audit_log_resources" : "audit_logs", conditions,
                                    own, elsewhere, direction, direction, params.size()),
                        params);
  std::vector<AuditPlace> places;
  places.reserve(rows.size());
  for (const db::Row row : rows)
    places.push_back({row.get<UnixSeconds>(0), row.get<std::int64_t>(1)});
  return places;
}

}  // namespace hearth::store
