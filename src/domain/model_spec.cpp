#include "domain/model_spec.hpp"

#include <array>
#include <stdexcept>

#include <fmt/format.h>

namespace hearth::domain {
namespace {

// The names of a spec's members: written and read here only.
namespace member {
constexpr std::string_view file = "file", projector = "projector", context = "context", slots = "slots",
                           threads = "threads", chat_template = "chat_template", arguments = "arguments",
                           base_urls = "base_urls", api_key = "api_key", model = "model",
                           timeout_ms = "timeout_ms", capabilities = "capabilities", owned_by = "owned_by",
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

constexpr std::array<std::pair<Capability, std::string_view>, 6> capability_names{
    {{Capability::chat, "chat"},
     {Capability::completion, "completion"},
     {Capability::embedding, "embedding"},
     {Capability::vision, "vision"},
     {Capability::tools, "tools"},
     {Capability::infill, "infill"}}};

json::array render_strings(const std::vector<std::string>& strings) {
  json::array out;
  for (const std::string& text : strings)
    out.push_back(json::value(text));
  return out;
}

std::vector<std::string> read_strings(const json::object& spec, std::string_view name) {
  std::vector<std::string> out;
  if (const json::array* list = json::find_array(spec, name)) {
    for (const json::value& text : *list)
      out.emplace_back(json::view(text.as_string()));
  }
  return out;
}

std::string read_string(const json::object& spec, std::string_view name) {
  return std::string(json::find_string(spec, name).value_or(""));
}

std::uint32_t read_count(const json::object& spec, std::string_view name, std::uint32_t otherwise) {
  return static_cast<std::uint32_t>(json::find_integer(spec, name).value_or(otherwise));
}

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

engine::LlamaSpec read_llama(const json::object& spec) {
  engine::LlamaSpec out;
  out.file = read_string(spec, member::file);
  out.projector = read_string(spec, member::projector);
  out.context = read_count(spec, member::context, out.context);
  out.slots = read_count(spec, member::slots, out.slots);
  out.threads = read_count(spec, member::threads, out.threads);
  out.chat_template = read_string(spec, member::chat_template);
  out.arguments = read_strings(spec, member::arguments);
  return out;
}

engine::UpstreamSpec read_upstream(const json::object& spec) {
  engine::UpstreamSpec out;
  out.base_urls = read_strings(spec, member::base_urls);
  out.api_key = read_string(spec, member::api_key);
  out.model = read_string(spec, member::model);
  if (const auto timeout = json::find_integer(spec, member::timeout_ms)) {
    out.timeout = std::chrono::milliseconds(*timeout);
  }
  return out;
}

}  // namespace

store::ModelRecord render_model_record(const engine::Model& model,
                                       const std::optional<store::Tenant>& tenant) {
  json::object spec;
  if (const auto* llama = std::get_if<engine::LlamaSpec>(&model.backend)) {
    spec[member::file] = llama->file;
    spec[member::projector] = llama->projector;
    spec[member::context] = llama->context;
    spec[member::slots] = llama->slots;
    spec[member::threads] = llama->threads;
    spec[member::chat_template] = llama->chat_template;
    spec[member::arguments] = render_strings(llama->arguments);
  } else {
    const auto& upstream = std::get<engine::UpstreamSpec>(model.backend);
    spec[member::base_urls] = render_strings(upstream.base_urls);
    spec[member::api_key] = upstream.api_key;
    spec[member::model] = upstream.model;
    spec[member::timeout_ms] = upstream.timeout.count();
  }
  json::array capabilities;
  for (const auto& [capability, name] : capability_names) {
    if (model.capabilities.contains(capability)) capabilities.push_back(json::value(name));
  }
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
  if (auto owner = read_string(spec, member::owned_by); !owner.empty()) model.owned_by = std::move(owner);
  model.memory_bytes = static_cast<std::uint64_t>(json::find_integer(spec, member::memory).value_or(0));
  model.prices = read_prices(spec);
  for (const std::string& name : read_strings(spec, member::capabilities)) {
    for (const auto& [capability, known] : capability_names) {
      if (name == known) model.capabilities.insert(capability);
    }
  }
  if (spec.contains(member::base_urls)) {
    model.backend = read_upstream(spec);
  } else if (spec.contains(member::file)) {
    model.backend = read_llama(spec);
  } else {
    throw std::runtime_error(fmt::format(
        "the definition of the model '{}' names neither a file nor an upstream", record.id.str()));
  }
  return model;
}

}  // namespace hearth::domain
