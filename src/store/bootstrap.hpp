// What the first start of a data directory makes.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"

namespace hearth::store {

struct Bootstrap {
  OrganizationId organization;
  ProjectId project;
  std::string admin_key;    // secrets: shown once, kept nowhere
  std::string project_key;  // …
};

// Takes the keys to where they are kept, before they are valid: what it throws undoes the whole. Thread: the
// database's.
using KeyHandover = std::function<void(const Bootstrap&)>;

// Makes the organization, its default project, an admin key and a project key, all or nothing and once in the
// life of the database: nullopt for whoever comes later, also when two processes start at once. The keys are
// handed over before the commit, so that none becomes valid that nobody knows. Thread: any.
Task<std::optional<Bootstrap>> bootstrap(db::Database& database, const Clock& clock, IdSource& ids,
                                         KeyHandover hand_over = {});

}  // namespace hearth::store
