#include "app/builtin_model.hpp"

#include <filesystem>

#include "engine/engine_kinds.hpp"

namespace hearth::app {

std::optional<engine::Model> find_builtin_model() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto file = program.parent_path() / "hearth-starter.gguf";
  if (error || !std::filesystem::exists(file, error)) return std::nullopt;
  engine::Model model;
  model.id = builtin_model_name;
  model.created = 1745884800;  // 29 April 2025, the day of the API's description
  // It offers embeddings too, so that people can try them, although it was not trained for them.
  model.capabilities = {engine::Capability::chat, engine::Capability::completion, engine::Capability::tools,
                        engine::Capability::embedding};
  json::object definition;
  definition["file"] = file.string();
  model.engine = engine::parse_engine_spec(definition);
  return model;
}

}  // namespace hearth::app
