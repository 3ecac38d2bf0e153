// People who log in: who is it, and then a session.
//
// The two are apart: an authenticator says who somebody is (here by a password; an identity provider would be
// another one), and open_session() lets whoever was found in. Sessions end at logout, after their time, with
// a new password and with the user. Everything is in the audit log.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"
#include "domain/login_throttle.hpp"
#include "domain/passwords.hpp"
#include "store/invites.hpp"
#include "store/sessions.hpp"
#include "store/users.hpp"

namespace hearth::domain {

// Where a visitor comes from.
struct Visitor {
  std::string address;
  std::string user_agent;
};

// Finds the user that an email address and a password belong to. Thread: any.
class PasswordAuthenticator {
 public:
  PasswordAuthenticator(store::Users& users, Passwords& passwords) : users_(users), passwords_(passwords) {}
  // nullopt for a wrong password, an unknown address and a user without a password: they take the same time.
  Task<std::optional<store::User>> identify(OrganizationId organization, std::string email,
                                            std::string password);

 private:
  store::Users& users_;
  Passwords& passwords_;
};

struct LoginRefused {};
struct LoginThrottled {
  std::chrono::seconds wait;
};
struct LoggedIn {
  std::string token;  // for the cookie
};
using LoginOutcome = std::variant<LoggedIn, LoginRefused, LoginThrottled>;

// Thread: any. Owned by app/.
class Logins {
 public:
  Logins(db::Database& database, store::Users& users, async::BlockingPool& pool, const Clock& clock,
         IdSource& ids, std::chrono::seconds session_lifetime);

  std::chrono::seconds session_lifetime() const { return lifetime_; }

  Task<LoginOutcome> log_in(std::string email, std::string password, Visitor visitor);
  Task<std::optional<store::Session>> find_session(std::string token);
  Task<void> log_out(store::User user, std::string token, Visitor visitor);

  // The invite that the link opens becomes a user with a session, or nothing happens (nullopt).
  Task<std::optional<LoggedIn>> accept_invite(std::string token, std::string name, std::string password,
                                              Visitor visitor);
  // False when the link opens nothing (any more). All sessions of the user end.
  Task<bool> reset_password(std::string token, std::string password, Visitor visitor);
  Task<std::optional<store::User>> find_reset(std::string token);
  // The user's other sessions end, this one goes on under a new token; nullopt when `current` is wrong.
  Task<LoginOutcome> change_password(store::User user, std::string current, std::string password,
                                     Visitor visitor);

 private:
  Task<LoggedIn> open_session(store::User user, Visitor visitor);
  Task<void> note_failure(OrganizationId organization, std::string_view email, const Visitor& visitor,
                          std::string code, std::string message);

  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
  std::chrono::seconds lifetime_;
  store::Sessions sessions_;
  store::Invites invites_;
  Passwords passwords_;
  PasswordAuthenticator authenticator_;
  LoginThrottle throttle_;
};

}  // namespace hearth::domain
