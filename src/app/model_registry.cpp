#include "app/model_registry.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "app/data_directory.hpp"
#include "domain/model_spec.hpp"

namespace hearth::app {
namespace {

template <class T>
Task<void> keep(Task<T> task, std::optional<T>& result) {
  result = co_await std::move(task);
}

}  // namespace

ModelRegistry::ModelRegistry(const Config& config, RegistryAccess access) {
  if (access == RegistryAccess::read && !database_exists(config)) return;
  database_ = open_database(config);
  models_.emplace(*database_);
}

template <class T>
T ModelRegistry::wait(Task<T> task) {
  if constexpr (std::is_void_v<T>) {
    runtime_.run_until_complete(std::move(task));
  } else {
    std::optional<T> result;
    runtime_.run_until_complete(keep(std::move(task), result));
    return std::move(*result);
  }
}

std::vector<engine::Model> ModelRegistry::list() {
  std::vector<engine::Model> models;
  if (!models_) return models;
  for (const store::ModelRecord& record : wait(models_->list()))
    models.push_back(domain::parse_model_record(record));
  return models;
}

std::vector<store::ModelAlias> ModelRegistry::aliases() {
  if (!models_) return {};
  return wait(models_->list_aliases());
}

std::optional<engine::Model> ModelRegistry::find(const std::string& name) {
  if (!models_) return std::nullopt;
  const auto record = wait(models_->find(ModelId(name)));
  if (!record) return std::nullopt;
  return domain::parse_model_record(*record);
}

void ModelRegistry::put(const engine::Model& model) {
  if (wait(models_->put(domain::render_model_record(model, std::nullopt)))) return;
  throw std::runtime_error(fmt::format("{} is a fine-tuned model of a project", model.id));
}

bool ModelRegistry::remove(const std::string& name) {
  return models_ && wait(models_->remove(ModelId(name)));
}

void ModelRegistry::put_alias(const std::string& name, const std::string& target) {
  wait(models_->put_alias({.name = name, .target = target}));
}

bool ModelRegistry::remove_alias(const std::string& name) {
  return models_ && wait(models_->remove_alias(name));
}

}  // namespace hearth::app
