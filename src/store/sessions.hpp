// Sessions of people who are logged in, and the one-time links by which a forgotten password is replaced.
//
// Tokens exist in the reply that makes them; the tables have their SHA-256. A token is 48 random letters and
// digits (285 bits): there is nothing to guess that a slow hash would protect.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"
#include "store/audit_logs.hpp"
#include "store/users.hpp"

namespace hearth::store {

struct Session {
  User user;
  UnixSeconds expires_at = 0;
};

// The session's user as the actor, with the request's origin.
Actor session_actor(const User& user, std::string address, std::string user_agent);

// Thread: any.
class Sessions {
 public:
  Sessions(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  // Returns the token of a new session; the audit log says login.succeeded. Thread: the database's.
  static std::string open_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                             const Actor& actor, std::chrono::seconds lifetime);
  Task<std::string> open(Actor actor, std::chrono::seconds lifetime);
  Task<std::optional<Session>> find(std::string token);
  // Audit event logout.succeeded; nothing where there is no such session of the actor (any more).
  Task<void> close(Actor actor, std::string token);

  // Up to `limit` sessions, or links of any purpose, that have expired are forgotten; how many they were. Of
  // every organization: for sweeps. Thread: the database's.
  static std::int64_t remove_expired_in(db::Connection& connection, UnixSeconds now, std::size_t limit);
  static std::int64_t remove_expired_links_in(db::Connection& connection, UnixSeconds now, std::size_t limit);

  // Audit event login.failed. `actor` has no id, and the email that was tried.
  Task<void> note_failure(Actor actor, std::string code, std::string message);

  // A new link for the user; those before no longer open. Thread: the database's, for _in.
  static std::string create_reset_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                                     const User& user, std::chrono::seconds lifetime);
  Task<std::string> create_reset(User user, std::chrono::seconds lifetime);
  // The user whose password the link replaces; nullopt for unknown, used and expired links.
  Task<std::optional<User>> find_reset(std::string token);
  // Uses the link up: the new password holds, all sessions of the user end. Audit event user.updated. False
  // as in find_reset().
  Task<bool> complete_reset(std::string token, std::string password_hash, std::string address,
                            std::string user_agent);

  // Sets a new password and ends the user's sessions; audit event user.updated. Thread: the database's.
  static void change_password_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                                 const Actor& actor, const UserId& user, const std::string& password_hash);

 private:
  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::store
