#include "api/pages.hpp"

namespace hearth::api {

namespace field = contract::field;

store::PageRequest read_page(const json::object& query) {
  store::PageRequest page;
  if (const auto after = json::find_string(query, field::after)) page.after = std::string(*after);
  if (const auto before = json::find_string(query, field::before)) page.before = std::string(*before);
  page.limit = static_cast<std::size_t>(*json::find_integer(query, field::limit));
  page.order =
      json::find_string(query, field::order) == "desc" ? store::Order::descending : store::Order::ascending;
  return page;
}

std::vector<std::string> read_texts(const json::object& query, std::string_view name) {
  std::vector<std::string> texts;
  if (const json::array* given = json::find_array(query, name)) {
    for (const json::value& text : *given)
      texts.emplace_back(json::view(text.get_string()));
  }
  return texts;
}

json::value render_list(json::array data, bool has_more) {
  const auto id_of = [](const json::value& item) { return item.get_object().at(field::id); };
  json::value first = data.empty() ? json::value(nullptr) : id_of(data.front());
  json::value last = data.empty() ? json::value(nullptr) : id_of(data.back());
  return {{field::object, "list"},
          {field::data, std::move(data)},
          {field::first_id, std::move(first)},
          {field::last_id, std::move(last)},
          {field::has_more, has_more}};
}

}  // namespace hearth::api
