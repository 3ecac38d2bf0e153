// Lists by pages: what callers ask for, what they get, and the one piece of SQL that reads a page.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "db/connection.hpp"

namespace hearth::store {

enum class Order { ascending, descending };

struct PageRequest {
  std::optional<std::string> after;  // the id of the last item of the page before this one
  std::size_t limit = 20;
  Order order = Order::ascending;
  // The id of the first item of the page behind this one. Alone it asks for the items nearest to it, still in
  // the list's order; with `after` for those between both, from `after` on.
  std::optional<std::string> before;

  bool is_backward() const { return before && !after; }
};

template <class T>
struct Page {
  std::vector<T> items;
  bool has_more = false;  // in the direction of reading: behind the page, or before it where it is backward
};

// A SELECT over one table in a fixed total order, restricted by conditions. The order is by columns that
// never change, so a page begins where the last one ended whatever was added or deleted in between.
//
//   PagedSelect select("model, created_at", "chat_completions", {"created_at", "sequence"});
//   select.where("organization_id = {}", tenant.organization).where("project_id = {}", tenant.project);
//   const auto page = select.read<Item>(connection, request, "id", request.after, parse_row);
//
// There must be a condition: no list goes over all tenants. Thread: a database thread, inside read(). Texts
// given to it are literals and become SQL; values never do.
class PagedSelect {
 public:
  PagedSelect(std::string_view columns, std::string_view table,
              std::initializer_list<std::string_view> order_by);

  // `{}` in the condition stands for the next of `values`.
  PagedSelect& where(std::string_view condition, std::initializer_list<db::Param> values);
  PagedSelect& where(std::string_view condition, db::Param value) { return where(condition, {value}); }
  // The column has one of `values`, of which there is at least one.
  PagedSelect& where_in(std::string_view column, const std::vector<std::string>& values);

  // The page after the row whose `cursor_column` equals `cursor`, which is what `request.after` names; the
  // first one when `cursor` is null. `request.before` is looked for in the same column, as a text. Such rows
  // must satisfy the conditions, or ApiError 400 with param `after` or `before` is thrown.
  template <class T, class ParseRow>
  Page<T> read(db::Connection& connection, const PageRequest& request, std::string_view cursor_column,
               db::Param cursor, ParseRow parse_row) {
    const db::Rows rows = read_rows(connection, request, cursor_column, cursor);
    Page<T> page;
    page.has_more = rows.size() > request.limit;
    page.items.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size() && i < request.limit; ++i)
      page.items.push_back(parse_row(rows[i]));
    if (request.is_backward()) std::ranges::reverse(page.items);
    return page;
  }

 private:
  db::Rows read_rows(db::Connection& connection, const PageRequest& request, std::string_view cursor_column,
                     db::Param cursor);
  // The values of the order's columns in the row that a cursor names.
  db::Rows find_position(db::Connection& connection, std::string_view cursor_column, db::Param cursor,
                         std::string_view id, std::string_view param) const;
  std::string order_clause(std::string_view direction) const;

  std::string_view columns_;
  std::string_view table_;
  std::vector<std::string_view> order_by_;
  std::string conditions_;
  std::vector<db::Param> values_;
};

}  // namespace hearth::store
