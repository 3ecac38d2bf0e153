// The limits that projects have of their own, by model; where a value is missing the configuration's holds.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"
#include "store/access_epoch.hpp"
#include "store/audit_logs.hpp"

namespace hearth::store {

struct RateLimitValues {
  std::optional<std::int64_t> requests_per_minute;
  std::optional<std::int64_t> tokens_per_minute;
  std::optional<std::int64_t> images_per_minute;
  std::optional<std::int64_t> audio_megabytes_per_minute;
  std::optional<std::int64_t> requests_per_day;
  std::optional<std::int64_t> batch_input_tokens_per_day;
  bool operator==(const RateLimitValues&) const = default;
};

// By model.
using ProjectRateLimits = std::map<std::string, RateLimitValues, std::less<>>;

struct RateLimitChange {
  ProjectId project;
  std::string id;     // of the limit, as the API names it: the audit log's resource
  std::string model;  // the catalogue's id
  RateLimitValues values;
  std::string details;  // of the audit event, as JSON
};

// Thread: any. Owned by app/.
class RateLimits {
 public:
  RateLimits(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  // What a project has of its own for a model. Kept in memory until the access epoch, of which the caller
  // tells the value, moves.
  Task<std::optional<RateLimitValues>> find(const ProjectId& project, std::string_view model,
                                            std::uint64_t epoch);

  // All of a project. Throws ApiError 404 when the organization has no such project.
  Task<ProjectRateLimits> list(OrganizationId organization, ProjectId project);

  // Lays the values that are set over those that were, and returns all of them; where that changes nothing,
  // nothing is written. Throws ApiError 404 when the
  // organization has no such project, 400 project_archived when it is archived.
  Task<RateLimitValues> change(Actor actor, RateLimitChange change);

 private:
  using Shared = std::shared_ptr<const ProjectRateLimits>;
  struct Entry {
    Shared limits;
    std::uint64_t epoch = 0;
  };

  Shared find_cached(const ProjectId& project, std::uint64_t epoch);
  Task<Shared> read(const ProjectId& project, std::uint64_t epoch);

  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
  std::mutex mutex_;
  std::unordered_map<ProjectId, Entry> cache_;  // guarded by mutex_
};

}  // namespace hearth::store
