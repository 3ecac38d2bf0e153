// Amounts of the installation's one currency, in billionths: sums of them are exact.
#pragma once

#include <cmath>
#include <cstdint>

namespace hearth {

using Money = std::int64_t;
inline constexpr double money_unit = 1e9;

// What people write and the API shows: 0.15 is 15 cents.
inline Money to_money(double amount) {
  return std::llround(amount * money_unit);
}
inline double from_money(Money amount) {
  return static_cast<double>(amount) / money_unit;
}

}  // namespace hearth
