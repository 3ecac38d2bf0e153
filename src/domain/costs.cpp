#include "domain/costs.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace hearth::domain {
namespace {

constexpr double million = 1e6;
constexpr double minute = 60;

std::optional<double> either(const std::optional<double>& own, const std::optional<double>& general) {
  return own ? own : general;
}

}  // namespace

std::vector<LineItem> costs_of(const contract::Used& used, const CostSettings& settings) {
  const bool batch = used.delivery == contract::Delivery::batch;
  const double share = batch ? 1 - settings.batch_discount : 1;
  std::vector<LineItem> items;
  const auto add = [&](std::string_view what, std::int64_t count, const std::optional<double>& price,
                       double unit) {
    if (!price || count <= 0) return;
    const Money amount = to_money(static_cast<double>(count) * *price / unit * share);
    if (amount == 0) return;
    items.push_back({fmt::format("{}, {}{}", used.model, what, batch ? ", batch" : ""), amount});
  };
  const contract::Prices& prices = used.prices;
  add("input", used.input_tokens - used.cached_tokens - used.input_audio_tokens, prices.input, million);
  add("cached input", std::min(used.cached_tokens, used.input_tokens),
      either(prices.cached_input, prices.input), million);
  add("audio input", used.input_audio_tokens, either(prices.audio_input, prices.input), million);
  add("output", used.output_tokens - used.output_audio_tokens, prices.output, million);
  add("audio output", used.output_audio_tokens, either(prices.audio_output, prices.output), million);
  add("images", used.images, prices.image, 1);
  add("characters", used.characters, prices.characters, million);
  add("audio", used.seconds, prices.minute, minute);
  return items;
}

}  // namespace hearth::domain
