// What a request costs, by line item.
#pragma once

#include <string>
#include <vector>

#include "base/money.hpp"
#include "contract/used.hpp"

namespace hearth::domain {

struct CostSettings {
  double batch_discount = 0.5;
};

struct LineItem {
  std::string name;  // "MODEL, input"; of batches "MODEL, input, batch"
  Money amount = 0;
};

// Only what has a price and was used. Cached and audio tokens are priced apart from the others of their side.
// Each item is rounded to a billionth. Pure.
std::vector<LineItem> costs_of(const contract::Used& used, const CostSettings& settings);

}  // namespace hearth::domain
