// The projects of an organization.
#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"

namespace hearth::store {

enum class ProjectStatus { active, archived };

struct Project {
  ProjectId id;
  OrganizationId organization;
  std::string name;
  ProjectStatus status = ProjectStatus::active;
  bool is_default = false;
  UnixSeconds created_at = 0;
};

// Thread: any.
class Projects {
 public:
  explicit Projects(db::Database& database) : database_(database) {}

  Task<std::optional<Project>> find(OrganizationId organization, ProjectId id);
  // Where an organization-wide key works when the request names no project. Every organization has one: its
  // absence is a fault of ours (ApiError 500).
  Task<Project> get_default(OrganizationId organization);

 private:
  db::Database& database_;
};

}  // namespace hearth::store
