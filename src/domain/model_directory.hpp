// Which models there are: those of the configuration and those registered in the store, kept current.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "async/blocking_pool.hpp"
#include "async/semaphore.hpp"
#include "base/clock.hpp"
#include "db/database.hpp"
#include "engine/catalogue/catalogue.hpp"
#include "engine/engines.hpp"
#include "store/models.hpp"

namespace hearth::domain {

// The models of the configuration as read at start, with what their files say filled in.
struct ConfiguredModels {
  std::vector<engine::Model> models;
  std::vector<engine::Alias> aliases;
};

// A model as somebody named it, in the catalogue as it was then.
struct Target {
  std::shared_ptr<const engine::CatalogueSnapshot> snapshot;  // keeps `model` alive
  const engine::Model* model = nullptr;
  std::string name;  // as it was asked for
};

// Those of `candidates` that lead to a model, the first of each name and none that has a model's name; pure.
std::vector<engine::Alias> resolvable_aliases(const std::vector<engine::Model>& models,
                                              std::vector<engine::Alias> candidates);

// Other processes may add models to the same store: the snapshot is re-read when the database changed, at
// most every `staleness`; what this process changes is visible at once. Thread: any.
class ModelDirectory {
 public:
  static constexpr std::chrono::milliseconds staleness{250};

  ModelDirectory(ConfiguredModels configured, db::Database& database, engine::Engines& engines,
                 async::BlockingPool& blocking, const Clock& clock);

  Task<std::shared_ptr<const engine::CatalogueSnapshot>> current();
  // Throws ApiError 404 model_not_found where the project may use none of that name.
  Task<Target> get_target(std::string_view name, const ProjectId& project);
  // Reads the store now. What cannot be used (a model whose file is gone or whose name the configuration
  // took, an alias that leads nowhere) is left out and logged once. One reload at a time: an older reading
  // never replaces a newer.
  Task<void> reload();
  // Deletes a registered model and stops its engine.
  Task<void> remove(const engine::Model& model);

 private:
  ConfiguredModels configured_;
  db::Database& database_;
  store::Models store_;
  engine::Engines& engines_;
  async::BlockingPool& blocking_;
  const Clock& clock_;
  engine::Catalogue catalogue_;
  async::Semaphore reloading_{1};
  // These members belong to the last reload; whoever holds `reloading_` may change them.
  std::vector<store::ModelRecord> records_;
  std::vector<store::ModelAlias> registered_aliases_;
  std::set<std::string> complaints_;
  bool loaded_ = false;
  std::atomic<std::uint64_t> seen_token_{0};
  std::atomic<SteadyTime::rep> checked_{0};
};

}  // namespace hearth::domain
