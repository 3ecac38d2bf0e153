#include "store/page.hpp"

#include <fmt/format.h>

#include "base/api_error.hpp"

namespace hearth::store {

PagedSelect::PagedSelect(std::string_view columns, std::string_view table,
                         std::initializer_list<std::string_view> order_by)
    : columns_(columns), table_(table), order_by_(order_by) {}

PagedSelect& PagedSelect::where(std::string_view condition, std::initializer_list<db::Param> values) {
  conditions_ += conditions_.empty() ? " WHERE " : " AND ";
  auto value = values.begin();
  for (std::size_t from = 0; from < condition.size();) {
    const std::size_t hole = condition.find("{}", from);
    conditions_ += condition.substr(from, hole - from);
    if (hole == std::string_view::npos) break;
    values_.push_back(*value++);
    conditions_ += fmt::format("${}", values_.size());
    from = hole + 2;
  }
  return *this;
}

PagedSelect& PagedSelect::where_in(std::string_view column, const std::vector<std::string>& values) {
  std::string places;
  for (const std::string& value : values) {
    values_.emplace_back(value);
    places += fmt::format("{}${}", places.empty() ? "" : ", ", values_.size());
  }
  conditions_ += fmt::format("{}{} IN ({})", conditions_.empty() ? " WHERE " : " AND ", column, places);
  return *this;
}

db::Rows PagedSelect::find_position(db::Connection& connection, std::string_view cursor_column,
                                    db::Param cursor, std::string_view id, std::string_view param) const {
  std::vector<db::Param> params = values_;
  params.push_back(cursor);
  db::Rows position =
      connection.query(fmt::format("SELECT {} FROM {}{} AND {} = ${}", fmt::join(order_by_, ", "), table_,
                                   conditions_, cursor_column, params.size()),
                       params);
  if (position.empty()) {
    throw ApiError::invalid_request(
        "invalid_value", fmt::format("No object of this list has the id '{}'.", id), std::string(param));
  }
  return position;
}

db::Rows PagedSelect::read_rows(db::Connection& connection, const PageRequest& request,
                                std::string_view cursor_column, db::Param cursor) {
  const bool ascending = request.order == Order::ascending;
  const std::string names = fmt::format("{}", fmt::join(order_by_, ", "));
  std::vector<db::Param> params = values_;
  std::string conditions = conditions_;
  const auto restrict_to = [&](const db::Rows& position, char comparison) {
    std::string places;
    for (std::size_t i = 0; i < order_by_.size(); ++i) {
      params.emplace_back(position[0].get<std::int64_t>(i));
      places += fmt::format("{}${}", i == 0 ? "" : ", ", params.size());
    }
    conditions += fmt::format(" AND ({}) {} ({})", names, comparison, places);
  };
  if (!std::holds_alternative<std::monostate>(cursor.content())) {
    restrict_to(find_position(connection, cursor_column, cursor, request.after.value_or(""), "after"),
                ascending ? '>' : '<');
  }
  if (request.before) {
    restrict_to(find_position(connection, cursor_column, *request.before, *request.before, "before"),
                ascending ? '<' : '>');
  }
  params.emplace_back(request.limit + 1);  // one more tells whether there is more
  const bool reads_ascending = ascending != request.is_backward();
  return connection.query(
      fmt::format("SELECT {} FROM {}{} ORDER BY {} LIMIT ${}", columns_, table_, conditions,
                  order_clause(reads_ascending ? "" : " DESC"), params.size()),
      params);
}

std::string PagedSelect::order_clause(std::string_view direction) const {
  std::string clause;
  for (std::string_view column : order_by_)
    clause += fmt::format("{}{}{}", clause.empty() ? "" : ", ", column, direction);
  return clause;
}

}  // namespace hearth::store
