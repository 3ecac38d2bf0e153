// Invitations to the organization. Whoever has the one-time link of one becomes a user by it.
//
// The link's token exists in the reply that makes it; the table one_time_links has its SHA-256. Changes are
// refused with ApiErrors where a rule does not hold at the commit.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/principal.hpp"
#include "db/database.hpp"
#include "store/audit_logs.hpp"
#include "store/page.hpp"
#include "store/users.hpp"

namespace hearth::store {

enum class InviteStatus { pending, accepted, expired };

struct ProjectGrant {
  ProjectId project;
  contract::ProjectRole role = contract::ProjectRole::member;
};

struct Invite {
  InviteId id;
  OrganizationId organization;
  std::string email;  // as given
  contract::OrganizationRole role = contract::OrganizationRole::reader;
  UnixSeconds invited_at = 0;
  UnixSeconds expires_at = 0;
  std::optional<UnixSeconds> accepted_at;
  std::vector<ProjectGrant> projects;  // in the order of the projects' ids

  InviteStatus status(UnixSeconds now) const;
};

struct NewInvite {
  std::string email;
  contract::OrganizationRole role = contract::OrganizationRole::reader;
  // The memberships that come with acceptance; absent: the default project's.
  std::optional<std::vector<ProjectGrant>> projects;
  std::chrono::seconds lifetime{7 * 24 * 3600};
};

struct SentInvite {
  Invite invite;
  std::string token;  // of the link; shown once, kept nowhere
};

// The person who accepts, with the name to use from now on.
struct Acceptance {
  std::string name;
  std::string password_hash;
  std::string address;
  std::string user_agent;
};

// Thread: any.
class Invites {
 public:
  Invites(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  // ApiError 400 user_exists or invite_exists (a pending one) with param `email`; 404, 400 project_archived,
  // 400 invalid_value for a project named twice, with param `projects[n].id`.
  Task<SentInvite> create(Actor actor, NewInvite invite);
  // ApiError 404 when the organization has no such invite.
  Task<Invite> get(OrganizationId organization, InviteId id);
  // In the order of creation. ApiError 400 when `page.after` is not in the list.
  Task<Page<Invite>> list(OrganizationId organization, PageRequest page);
  // ApiError 404; 400 invite_accepted.
  Task<void> remove(Actor actor, InviteId id);

  // A new link for the pending invite of an address; the old one no longer opens. nullopt without one.
  Task<std::optional<SentInvite>> renew_link(OrganizationId organization, std::string email);
  // The pending invite that the link opens; nullopt when there is none (any more).
  Task<std::optional<Invite>> find_by_token(std::string token);
  // Makes the user, adds it to the invite's projects (without those that were archived meanwhile) and marks
  // the invite as accepted; the user itself acts. nullopt as above; ApiError 400 user_exists when somebody
  // with that address was added by other means.
  Task<std::optional<User>> accept(std::string token, Acceptance acceptance);
  // For who writes more in the same transaction, such as a session. Thread: the database's.
  static std::optional<User> accept_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                                       const std::string& token, const Acceptance& acceptance);

  // Removes up to `limit` invites of all organizations that nobody accepted and that expired before
  // `before`; returns how many. For sweeps. Thread: the database's.
  static std::int64_t remove_expired_in(db::Connection& connection, UnixSeconds before, std::size_t limit);

 private:
  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::store
