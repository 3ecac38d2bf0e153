// Lists as the API writes them: {"object": "list", "data", "first_id", "last_id", "has_more"}.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "contract/fields.hpp"
#include "json/json.hpp"
#include "store/page.hpp"

namespace hearth::api {

// `limit`, `after`, `before` and `order` of a list's query; ascending where the operation has no order.
store::PageRequest read_page(const json::object& query);

// The texts of a list in a query, in their order; none where it is absent.
std::vector<std::string> read_texts(const json::object& query, std::string_view name);

// `data` are rendered objects with an `id`.
json::value render_list(json::array data, bool has_more);

template <class Item, class Render>
json::value render_page(store::Page<Item> page, Render render) {
  json::array data;
  data.reserve(page.items.size());
  for (Item& item : page.items)
    data.push_back(render(std::move(item)));
  return render_list(std::move(data), page.has_more);
}

}  // namespace hearth::api
