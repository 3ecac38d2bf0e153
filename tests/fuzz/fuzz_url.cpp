// Router and query reader: any bytes as a request target, "METHOD target" where the first blank splits.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/api_error.hpp"
#include "base/text.hpp"
#include "contract/query.hpp"
#include "contract/router.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t blank = text.find(' ');
  const bool has_method = blank != std::string_view::npos;
  const std::string_view method = has_method ? text.substr(0, blank) : "GET";
  const std::string_view target = has_method ? text.substr(blank + 1) : text;
  const std::size_t mark = target.find('?');
  const std::string_view query = mark == std::string_view::npos ? target : target.substr(mark + 1);
  const contract::RouteResult routed = contract::route(method, target.substr(0, mark));
  if (const auto* route = std::get_if<contract::Route>(&routed)) {
    if (route->path_values.size() != route->operation->path_names.size()) std::abort();
    for (const std::string& value : route->path_values) {
      if (!text::is_valid_utf8(value)) std::abort();
    }
    try {
      contract::read_path(contract::Validator::api(), *route);
      contract::read_query(contract::Validator::api(), *route->operation, query);
    } catch (const ApiError& error) {
      if (error.status() != 400) std::abort();
    }
    return 0;
  }
  // Off the map, the query is read as that of any operation.
  const auto operations = contract::operations();
  const contract::Operation& operation = operations[target.size() % operations.size()];
  static_cast<void>(contract::read_query(contract::Validator::api(), operation.query_fields, query));
  return 0;
}
