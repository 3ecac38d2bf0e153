// Registered models and aliases: what the catalogue loads beside those of the configuration.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"
#include "store/tenant.hpp"

namespace hearth::store {

enum class ModelOrigin { registered, fine_tuned };

struct ModelRecord {
  ModelId id;
  // The owner: a fine-tuned model belongs to a project; one without a tenant belongs to the server and is
  // for everyone.
  std::optional<Tenant> tenant;
  ModelOrigin origin = ModelOrigin::registered;
  std::string spec;  // JSON, written and read by the catalogue
  UnixSeconds created_at = 0;
  bool operator==(const ModelRecord&) const = default;
};

struct ModelAlias {
  std::string name;
  std::string target;
  bool operator==(const ModelAlias&) const = default;
};

// Thread: any. The calls without a tenant are for the catalogue and the command line, which act for the
// server; what a request may see of it is the catalogue's to decide.
class Models {
 public:
  explicit Models(db::Database& database) : database_(database) {}

  // All of every tenant, by id.
  Task<std::vector<ModelRecord>> list();
  Task<std::optional<ModelRecord>> find(ModelId id);
  // Adds it, or replaces the spec of the same id when that has the same tenant. False when the id is another
  // tenant's.
  Task<bool> put(ModelRecord record);
  // False when there is none.
  Task<bool> remove(ModelId id);
  // For the API: only what `tenant` fine-tuned.
  Task<bool> remove_fine_tuned(Tenant tenant, ModelId id);

  // By name.
  Task<std::vector<ModelAlias>> list_aliases();
  Task<void> put_alias(ModelAlias alias);
  Task<bool> remove_alias(std::string name);

 private:
  db::Database& database_;
};

}  // namespace hearth::store
