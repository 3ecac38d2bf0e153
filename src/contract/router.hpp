// From method and path to an operation of the contract.
//
// Thread: any. Walks the generated tree segment by segment: a static segment wins over a {parameter};
// allocates only for the parameters' decoded texts.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "contract/tables.hpp"

namespace hearth::contract {

struct Route {
  const Operation* operation;
  std::vector<std::string> path_values;  // decoded, in the order of operation->path_names
};
struct RouteNotFound {};
struct MethodNotAllowed {
  std::vector<std::string_view> allowed;  // for the `allow` header; sorted
};
using RouteResult = std::variant<Route, RouteNotFound, MethodNotAllowed>;

// `path` is the part before '?', still encoded. HEAD follows GET.
RouteResult route(std::string_view method, std::string_view path);
RouteResult route(const OperationTables& tables, std::string_view method, std::string_view path);

}  // namespace hearth::contract
