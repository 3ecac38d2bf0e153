// The request as an upstream gets it.
#include <algorithm>
#include <array>

#include "contract/fields.hpp"
#include "engine/upstream/reply.hpp"

namespace hearth::engine::upstream {
namespace {

namespace field = contract::field;
using json::array;
using json::object;
using json::value;

// Names of the API are plain; only an unknown one may need escapes.
void append_key(std::string& out, std::string_view key) {
  const bool plain =
      std::ranges::all_of(key, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (plain) {
    out.push_back('"');
    out += key;
    out.push_back('"');
  } else {
    json::write_to(out, value(key));
  }
  out.push_back(':');
}

// Concerns this server only: we store, we route, we tag. Also what the contract says is taken without effect.
bool stays_here(std::string_view name) {
  static constexpr std::array<std::string_view, 9> ours{
      field::model,
      field::stream,
      field::stream_options,
      field::store,
      field::metadata,
      field::service_tier,
      field::prompt_cache_key,
      field::prompt_cache_retention,
      field::safety_identifier,
  };
  return std::ranges::find(ours, name) != ours.end();
}

}  // namespace

std::string render_request(const object& request, std::string_view model, Delivery delivery) {
  std::string out = "{";
  append_key(out, field::model);
  json::write_to(out, value(model));
  for (const auto& member : request) {
    if (member.value().is_null() || stays_here(member.key())) continue;
    out.push_back(',');
    append_key(out, member.key());
    json::write_to(out, member.value());
  }
  if (delivery == Delivery::streamed) {
    out.push_back(',');
    append_key(out, field::stream);
    out += "true,";
    append_key(out, field::stream_options);
    out.push_back('{');
    append_key(out, field::include_usage);
    out += "true}";
  }
  out.push_back('}');
  return out;
}

std::size_t count_choices(const object& request, Asked asked) {
  const auto n =
      static_cast<std::size_t>(std::max<std::int64_t>(1, json::find_integer(request, field::n).value_or(1)));
  if (asked != Asked::completion) return n;
  const array* prompts = json::find_array(request, field::prompt);
  if (!prompts || prompts->empty() || prompts->front().is_number()) return n;
  return n * prompts->size();
}

}  // namespace hearth::engine::upstream
