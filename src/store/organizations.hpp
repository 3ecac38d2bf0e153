// The organizations of this server.
#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"

namespace hearth::store {

struct Organization {
  OrganizationId id;
  std::string name;
  UnixSeconds created_at = 0;
};

// Thread: any.
class Organizations {
 public:
  explicit Organizations(db::Database& database) : database_(database) {}

  Task<std::optional<Organization>> find(OrganizationId id);
  // As find(), for an id that a key names: its absence is a fault of ours (ApiError 500).
  Task<Organization> get(OrganizationId id);
  // The one that the first start made; nullopt before.
  Task<std::optional<Organization>> find_first();

 private:
  db::Database& database_;
};

}  // namespace hearth::store
