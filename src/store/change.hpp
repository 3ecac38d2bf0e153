// An administrative change: one transaction with its tenant, its actor and its time. What it notes is in the
// audit log if the change is made, and moves the access epoch; a rule that does not hold undoes all of it.
//
//   co_return co_await changes_.make(actor, project, [&](Change& change) {
//     Thing thing = things.get(change, change.tenant(), id);
//     things.update(change, change.tenant(), id, {{"name", name}});
//     change.note("thing.updated", id.str(), {{"changes_requested", {{"name", name}}}});
//     return thing;
//   });
#pragma once

#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"
#include "json/json.hpp"
#include "store/audit_logs.hpp"
#include "store/projects.hpp"
#include "store/refusal.hpp"
#include "store/tenant.hpp"

namespace hearth::store {

// Thread: the database's, inside write().
struct Change {
  db::Connection& connection;
  const Clock& clock;
  IdSource& ids;
  const Actor& actor;
  std::optional<Project> project = {};  // in which it happens; nullopt: in the organization
  UnixSeconds now = clock.unix_now();   // the one time of all that it writes

  operator db::Connection&() const { return connection; }
  const OrganizationId& organization() const { return actor.organization; }
  Tenant tenant() const { return {actor.organization, project.value().id}; }

  // What happened to the object `id`, and, beside that, in the audit log's object of the event.
  void note(std::string_view type, const std::string& id, json::object details = {});
  // The same for several objects, `details` as they are. The project is filled in.
  void note(NewAuditLog event);
};

// What `work` returns, or the refusal that ended it.
template <class T>
Task<Outcome<T>> settle(Task<T> work) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
      co_return Outcome<void>();
    } else {
      co_return co_await std::move(work);
    }
  } catch (const Refused& refused) {
    co_return std::unexpected(refused.refusal());
  }
}

// How a store changes things, and reads where a rule may forbid it. What is given to make() and look() runs
// as db::Database runs it; everything it refers to, and the actor, must live until then. Thread: any.
class Changes {
 public:
  Changes(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  // `work(Change&)` alone in the actor's organization: what it looks at holds until the commit. Returns when
  // it is on the disk.
  template <class Work>
  auto make(const Actor& actor, Work work) {
    return settle(database_.write(actor.organization,
                                  [this, &actor, work = std::move(work)](db::Connection& connection) mutable {
                                    Change change{connection, clock_, ids_, actor};
                                    return work(change);
                                  }));
  }
  // The same in a project, which must be active.
  template <class Work>
  auto make(const Actor& actor, const ProjectId& project, Work work) {
    return make(actor, [&actor, &project, work = std::move(work)](Change& change) mutable {
      change.project = Projects::require_active_in(change, {actor.organization, project});
      return work(change);
    });
  }

  // `work(Connection&)` in a snapshot.
  template <class Work>
  auto look(Work work) {
    return settle(database_.read(std::move(work)));
  }

 private:
  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::store
