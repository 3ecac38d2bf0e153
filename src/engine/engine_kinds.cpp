#include "engine/engine_kinds.hpp"

#include <array>
#include <stdexcept>

#include <fmt/format.h>

#include "engine/llama/spec.hpp"
#include "engine/upstream/spec.hpp"

namespace hearth::engine {
namespace {

struct Kind {
  std::string_view name;
  std::string_view mark;  // the member that tells it where the definition does not name it
  EngineSpecPtr (*parse)(const json::object& definition);
};

constexpr std::array kinds{
    Kind{upstream_kind, "base_urls", parse_upstream_engine},
    Kind{llama_kind, "file", parse_llama_engine},
};

}  // namespace

EngineSpecPtr parse_engine_spec(const json::object& definition) {
  const auto named = json::find_string(definition, "engine");
  for (const Kind& kind : kinds) {
    if (named ? *named == kind.name : definition.contains(kind.mark)) return kind.parse(definition);
  }
  if (named)
    throw std::runtime_error(fmt::format("names an engine that this server does not have: {}", *named));
  throw std::runtime_error("names neither a file nor an upstream");
}

}  // namespace hearth::engine
