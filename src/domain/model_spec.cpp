#include "domain/model_spec.hpp"

#include <array>
#include <stdexcept>

#include <fmt/format.h>

#include "engine/engine_kinds.hpp"

namespace hearth::domain {
namespace {

// The names of a spec's members that every engine has; the others are the engine's own.
namespace member {
constexpr std::string_view engine = "engine", capabilities = "capabilities", owned_by = "owned_by",
                           memory = "memory", prices = "prices";
}  // namespace member

using engine::Capability;

// Members of `prices`.
struct PriceMember {
  std::string_view name;
  std::optional<double> contract::Prices::* price;
};
constexpr std::array price_members{
    PriceMember{"input", &contract::Prices::input},
    PriceMember{"cached_input", &contract::Prices::cached_input},
    PriceMember{"output", &contract::Prices::output},
    PriceMember{"audio_input", &contract::Prices::audio_input},
    PriceMember{"audio_output", &contract::Prices::audio_output},
    PriceMember{"image", &contract::Prices::image},
    PriceMember{"characters", &contract::Prices::characters},
    PriceMember{"minute", &contract::Prices::minute},
};

json::object render_prices(const contract::Prices& prices) {
  json::object out;
  for (const PriceMember& each : price_members) {
    if (const auto price = prices.*each.price) out[each.name] = *price;
  }
  return out;
}

contract::Prices read_prices(const json::object& spec) {
  contract::Prices out;
  const json::object* prices = json::find_object(spec, member::prices);
  for (const PriceMember& each : price_members) {
    if (prices) out.*each.price = json::find_number(*prices, each.name);
  }
  return out;
}

}  // namespace

store::ModelRecord render_model_record(const engine::Model& model,
                                       const std::optional<store::Tenant>& tenant) {
  json::object spec = model.engine->render();
  spec[member::engine] = model.engine->kind();
  json::array capabilities;
  for (const Capability capability : model.capabilities)
    capabilities.push_back(json::value(engine::capability_name(capability)));
  spec[member::capabilities] = std::move(capabilities);
  spec[member::owned_by] = model.owned_by;
  spec[member::memory] = model.memory_bytes;
  if (json::object prices = render_prices(model.prices); !prices.empty()) {
    spec[member::prices] = std::move(prices);
  }
  return {.id = ModelId(model.id),
          .tenant = tenant,
          .origin = model.fine_tuned ? store::ModelOrigin::fine_tuned : store::ModelOrigin::registered,
          .spec = json::write(spec),
          .created_at = model.created};
}

engine::Model parse_model_record(const store::ModelRecord& record) {
  const auto parsed = json::parse(record.spec);
  if (!parsed || !parsed->is_object()) {
    throw std::runtime_error(
        fmt::format("the definition of the model '{}' is not a JSON object", record.id.str()));
  }
  const json::object& spec = parsed->get_object();
  engine::Model model;
  model.id = record.id.str();
  model.created = record.created_at;
  model.fine_tuned = record.origin == store::ModelOrigin::fine_tuned;
  if (record.tenant) model.project = record.tenant->project;
  if (const auto owner = json::find_string(spec, member::owned_by); owner && !owner->empty())
    model.owned_by = *owner;
  model.memory_bytes = static_cast<std::uint64_t>(json::find_integer(spec, member::memory).value_or(0));
  model.prices = read_prices(spec);
  if (const json::array* names = json::find_array(spec, member::capabilities)) {
    for (const json::value& name : *names) {
      if (const auto known = engine::parse_capability(json::view(name.as_string())))
        model.capabilities.insert(*known);
    }
  }
  try {
    model.engine = engine::parse_engine_spec(spec);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(
        fmt::format("the definition of the model '{}' {}", record.id.str(), error.what()));
  }
  return model;
}

}  // namespace hearth::domain
