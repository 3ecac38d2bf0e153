// Which models there are: those of the configuration and those registered in the store, kept current.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/blocking_pool.hpp"
#include "base/clock.hpp"
#include "db/database.hpp"
#include "engine/catalogue.hpp"
#include "engine/engines.hpp"
#include "store/models.hpp"

namespace hearth::domain {

// The models of the configuration as read at start, with what their files say filled in.
struct ConfiguredModels {
  std::vector<engine::Model> models;
  std::vector<engine::Alias> aliases;
};

// Other processes may add models to the same store: the snapshot is re-read when the database changed, at
// most every `staleness`; what this process changes is visible at once. Thread: any.
class ModelDirectory {
 public:
  static constexpr std::chrono::milliseconds staleness{250};

  ModelDirectory(ConfiguredModels configured, db::Database& database, engine::Engines& engines,
                 async::BlockingPool& blocking, const Clock& clock);

  Task<std::shared_ptr<const engine::CatalogueSnapshot>> current();
  // Reads the store now. A registered model that cannot be used (its file is gone, its name is taken by the
  // configuration) is left out and logged.
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
  std::atomic<std::uint64_t> seen_token_{0};
  std::atomic<SteadyTime::rep> checked_{0};
};

}  // namespace hearth::domain
