#include "engine/catalogue/catalogue.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>

#include <fmt/format.h>

namespace hearth::engine {
namespace {

bool may_use(const Model& model, const ProjectId& project) {
  return !model.project || *model.project == project;
}

// The model at the end of the chain that starts with `alias`. Throws for a cycle or a dead end.
std::string resolve(const Alias& alias, const std::map<std::string, std::string>& targets,
                    const std::vector<Model>& models) {
  std::string chain = alias.name;
  std::string target = alias.target;
  for (std::size_t steps = 0; steps <= targets.size(); ++steps) {
    chain += " -> " + target;
    const auto next = targets.find(target);
    if (next == targets.end()) {
      if (!std::ranges::binary_search(models, target, {}, &Model::id))
        throw std::runtime_error(fmt::format("the alias '{}' points at no model: {}", alias.name, chain));
      return target;
    }
    if (next->first == alias.name) break;
    target = next->second;
  }
  throw std::runtime_error(fmt::format("the alias '{}' goes round in a circle: {}", alias.name, chain));
}

}  // namespace

CatalogueSnapshot::CatalogueSnapshot(std::vector<Model> models, std::vector<Alias> aliases)
    : models_(std::move(models)), aliases_(std::move(aliases)) {
  std::ranges::sort(models_, {}, &Model::id);
  std::ranges::sort(aliases_, {}, &Alias::name);
  if (const auto twice = std::ranges::adjacent_find(models_, {}, &Model::id); twice != models_.end())
    throw std::runtime_error(fmt::format("the model '{}' is defined twice", twice->id));
  if (const auto twice = std::ranges::adjacent_find(aliases_, {}, &Alias::name); twice != aliases_.end())
    throw std::runtime_error(fmt::format("the alias '{}' is defined twice", twice->name));
  std::map<std::string, std::string> targets;
  for (const Alias& alias : aliases_) {
    if (std::ranges::binary_search(models_, alias.name, {}, &Model::id))
      throw std::runtime_error(fmt::format("the alias '{}' has the name of a model", alias.name));
    targets.emplace(alias.name, alias.target);
  }
  for (Alias& alias : aliases_)
    alias.target = resolve(alias, targets, models_);
}

const Model* CatalogueSnapshot::find(std::string_view name, const ProjectId& project) const {
  const auto alias = std::ranges::lower_bound(aliases_, name, {}, &Alias::name);
  const std::string_view id =
      alias != aliases_.end() && alias->name == name ? std::string_view(alias->target) : name;
  const auto model = std::ranges::lower_bound(models_, id, {}, &Model::id);
  if (model == models_.end() || model->id != id || !may_use(*model, project)) return nullptr;
  return &*model;
}

std::vector<Model> CatalogueSnapshot::list(const ProjectId& project) const {
  std::vector<Model> usable;
  for (const Model& model : models_) {
    if (may_use(model, project)) usable.push_back(model);
  }
  for (const Alias& alias : aliases_) {
    if (const Model* model = find(alias.target, project)) {
      usable.push_back(*model);
      usable.back().id = alias.name;
    }
  }
  std::ranges::sort(usable, {}, &Model::id);
  return usable;
}

}  // namespace hearth::engine
