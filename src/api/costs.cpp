// GET /organization/costs: the spending of each day.
#include <algorithm>

#include "api/call.hpp"
#include "api/pages.hpp"
#include "api/services.hpp"
#include "api/usage_buckets.hpp"
#include "base/money.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;

constexpr std::int64_t most_days = 180;

bool holds(const json::object& query, std::string_view name, std::string_view word) {
  const json::array* list = json::find_array(query, name);
  return list && std::ranges::any_of(
                     *list, [word](const json::value& each) { return json::view(each.as_string()) == word; });
}

store::CostQuery::Group read_group(const json::object& query) {
  using enum store::CostQuery::Group;
  const bool by_project = holds(query, field::group_by, field::project_id);
  const bool by_item = holds(query, field::group_by, field::line_item);
  if (by_project && by_item) return both;
  return by_project ? project : by_item ? line_item : none;
}

json::object render_row(const store::CostRow& row, std::string_view currency) {
  const auto or_null = [](const std::optional<std::string>& text) {
    return text ? json::value(*text) : json::value(nullptr);
  };
  return {{field::object, "organization.costs.result"},
          {field::amount, {{field::value, from_money(row.amount)}, {field::currency, currency}}},
          {field::line_item, or_null(row.line_item)},
          {field::project_id, or_null(row.project)}};
}

}  // namespace

Task<contract::Reply> usage_costs(Services& services, Call& call) {
  BucketPage page = read_buckets(call.query, services.clock.unix_now(), most_days);
  store::CostQuery query{.organization = call.principal.organization,
                         .start = page.start,
                         .end = page.end,
                         .group = read_group(call.query)};
  for (std::string& project : read_texts(call.query, field::project_ids))
    query.projects.emplace_back(std::move(project));
  const auto sums = co_await services.metering.usage.query_costs(std::move(query));
  end_page(page, sums.end);
  auto results = empty_results(page);
  for (const store::CostRow& row : sums.rows)
    results[page.index_of(row.bucket)].push_back(render_row(row, services.metering.currency));
  co_return contract::Reply::of(render_buckets(page, std::move(results)));
}

}  // namespace hearth::api
