// The models that can be asked for: those of the configuration and those registered in the store.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/catalogue/model.hpp"

namespace hearth::engine {

// An immutable set of models and aliases, resolved: aliases point at models (chains allowed, cycles refused
// when it is built, with std::runtime_error that names them).
class CatalogueSnapshot {
 public:
  CatalogueSnapshot(std::vector<Model> models, std::vector<Alias> aliases);
  // By id or alias; a fine-tuned model only for its own project.
  const Model* find(std::string_view name, const ProjectId& project) const;
  // What `project` may use, ordered by id; aliases are listed as models of their own name.
  std::vector<Model> list(const ProjectId& project) const;
  const std::vector<Alias>& aliases() const { return aliases_; }
  const std::vector<Model>& models() const { return models_; }

 private:
  std::vector<Model> models_;   // sorted by id
  std::vector<Alias> aliases_;  // sorted by name, targets are model ids
};

// Thread: any. Readers take the current snapshot; whoever changes models puts a new one in place.
class Catalogue {
 public:
  explicit Catalogue(std::shared_ptr<const CatalogueSnapshot> first) : current_(std::move(first)) {}
  // Shared: requests keep the snapshot they began with.
  std::shared_ptr<const CatalogueSnapshot> snapshot() const {
    std::lock_guard lock(mutex_);
    return current_;
  }
  void replace(std::shared_ptr<const CatalogueSnapshot> next) {
    std::lock_guard lock(mutex_);
    current_ = std::move(next);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const CatalogueSnapshot> current_;
};

}  // namespace hearth::engine
