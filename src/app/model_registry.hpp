// The registered models and aliases, for the command line. It blocks; without a database, nothing is
// registered.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/config.hpp"
#include "async/runtime.hpp"
#include "db/database.hpp"
#include "engine/catalogue/model.hpp"
#include "store/models.hpp"

namespace hearth::app {

enum class RegistryAccess {
  read,   // leaves an absent data directory absent
  write,  // makes what is absent
};

// Thread: the one that made it. Throws std::exception with a message for the terminal.
class ModelRegistry {
 public:
  ModelRegistry(const Config& config, RegistryAccess access);

  std::vector<engine::Model> list();
  std::vector<store::ModelAlias> aliases();
  std::optional<engine::Model> find(const std::string& name);
  // Throws when the name is that of a project's fine-tuned model.
  void put(const engine::Model& model);
  // False when there is none.
  bool remove(const std::string& name);
  void put_alias(const std::string& name, const std::string& target);
  bool remove_alias(const std::string& name);

 private:
  template <class T>
  T wait(Task<T> task);

  async::Runtime runtime_{1};
  std::unique_ptr<db::Database> database_;  // null when absent and only read
  std::optional<store::Models> models_;
};

}  // namespace hearth::app
