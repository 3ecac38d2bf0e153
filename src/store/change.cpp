#include "store/change.hpp"

namespace hearth::store {

void Change::note(std::string_view type, const std::string& id, json::object details) {
  details["id"] = id;
  NewAuditLog event{.type = type, .resources = {id}, .details = json::write(std::move(details))};
  if (project) event.resources.push_back(project->id.str());
  note(std::move(event));
}

void Change::note(NewAuditLog event) {
  if (project) {
    event.project = project->id;
    event.project_name = project->name;
  }
  AuditLogs::append_in(connection, clock, ids, actor, event);
}

}  // namespace hearth::store
