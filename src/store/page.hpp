// Lists by pages: what callers ask for, what they get, and the one piece of SQL that reads a page.
#pragma once

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
  std::optional<std::string> after;  // the id of the last item of the page before
  std::size_t limit = 20;
  Order order = Order::ascending;
};

template <class T>
struct Page {
  std::vector<T> items;
  bool has_more = false;
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

  // The page after the row whose `cursor_column` equals `cursor`; the first one when `cursor` is null.
  // Such a row must satisfy the conditions, or ApiError 400 with param `after` is thrown.
  template <class T, class ParseRow>
  Page<T> read(db::Connection& connection, const PageRequest& request, std::string_view cursor_column,
               db::Param cursor, ParseRow parse_row) {
    const db::Rows rows = read_rows(connection, request, cursor_column, cursor);
    Page<T> page;
    page.has_more = rows.size() > request.limit;
    page.items.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size() && i < request.limit; ++i)
      page.items.push_back(parse_row(rows[i]));
    return page;
  }

 private:
  db::Rows read_rows(db::Connection& connection, const PageRequest& request, std::string_view cursor_column,
                     db::Param cursor);
  std::string order_clause(std::string_view direction) const;

  std::string_view columns_;
  std::string_view table_;
  std::vector<std::string_view> order_by_;
  std::string conditions_;
  std::vector<db::Param> values_;
};

}  // namespace hearth::store
