// The `metadata` of an object: up to sixteen pairs of the client's own.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "store/columns.hpp"

namespace hearth::store {

using Metadata = std::vector<std::pair<std::string, std::string>>;  // names are unique, in the order given

// A JSON object in one column.
template <>
struct Kept<Metadata> {
  static std::string write(const Metadata& metadata);
  static Metadata read(const db::Row& row, std::size_t column);
};

}  // namespace hearth::store
