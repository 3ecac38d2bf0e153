#include "domain/logins.hpp"

#include <utility>

#include "base/api_error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "store/organizations.hpp"

namespace hearth::domain {
namespace {

constexpr std::size_t max_noted_email = 320;

}  // namespace

Task<std::optional<store::User>> PasswordAuthenticator::identify(OrganizationId organization,
                                                                 std::string email, std::string password) {
  auto user = co_await users_.find_by_email(organization, std::move(email));
  std::optional<std::string> hash;
  if (user) hash = co_await users_.find_password_hash(organization, user->id);
  const bool right = co_await passwords_.verify(std::move(hash), std::move(password));
  if (!right) co_return std::nullopt;
  co_return user;
}

Logins::Logins(db::Database& database, store::Users& users, async::BlockingPool& pool, const Clock& clock,
               IdSource& ids, std::chrono::seconds session_lifetime)
    : database_(database),
      clock_(clock),
      ids_(ids),
      lifetime_(session_lifetime),
      sessions_(database, clock, ids),
      invites_(database, clock, ids),
      passwords_(pool, ids),
      authenticator_(users, passwords_),
      throttle_(clock) {}

Task<LoginOutcome> Logins::log_in(std::string email, std::string password, Visitor visitor) {
  const auto organization = co_await store::Organizations(database_).find_first();
  if (!organization) co_return LoginRefused{};
  const std::string account = store::email_key(email);
  const auto verdict = throttle_.attempt(account, visitor.address);
  if (verdict.verdict != LoginThrottle::Verdict::allowed) {
    log::warn("login throttled", {{"client", visitor.address}});
    // Once: whoever goes on trying does not fill the log.
    if (verdict.verdict == LoginThrottle::Verdict::refused_now) {
      co_await note_failure(organization->id, email, visitor, "too_many_attempts",
                            "Further attempts are refused for some minutes.");
    }
    co_return LoginThrottled{verdict.wait};
  }
  auto user = co_await authenticator_.identify(organization->id, email, std::move(password));
  if (!user) {
    co_await note_failure(organization->id, email, visitor, "invalid_credentials",
                          "The email address or the password is wrong.");
    co_return LoginRefused{};
  }
  throttle_.forget(account, visitor.address);
  co_return co_await open_session(std::move(*user), std::move(visitor));
}

Task<std::optional<store::Session>> Logins::find_session(std::string token) {
  co_return co_await sessions_.find(std::move(token));
}

Task<void> Logins::log_out(store::User user, std::string token, Visitor visitor) {
  co_await sessions_.close(store::session_actor(user, visitor.address, visitor.user_agent), std::move(token));
}

Task<std::optional<LoggedIn>> Logins::accept_invite(std::string token, std::string name, std::string password,
                                                    Visitor visitor) {
  // Strangers do not make the server hash.
  const auto invite = co_await invites_.find_by_token(token);
  if (!invite) co_return std::nullopt;
  const store::Acceptance acceptance{.name = std::move(name),
                                     .password_hash = co_await passwords_.hash(std::move(password)),
                                     .address = visitor.address,
                                     .user_agent = visitor.user_agent};
  co_return co_await database_.write(
      invite->organization, [&](db::Connection& connection) -> std::optional<LoggedIn> {
        const auto user = store::Invites::accept_in(connection, clock_, ids_, token, acceptance);
        if (!user) return std::nullopt;
        return LoggedIn{store::Sessions::open_in(
            connection, clock_, ids_, store::session_actor(*user, visitor.address, visitor.user_agent),
            lifetime_)};
      });
}

Task<std::optional<store::User>> Logins::find_reset(std::string token) {
  co_return co_await sessions_.find_reset(std::move(token));
}

Task<bool> Logins::reset_password(std::string token, std::string password, Visitor visitor) {
  if (!co_await sessions_.find_reset(token)) co_return false;
  std::string hash = co_await passwords_.hash(std::move(password));
  co_return co_await sessions_.complete_reset(std::move(token), std::move(hash), std::move(visitor.address),
                                              std::move(visitor.user_agent));
}

Task<LoginOutcome> Logins::change_password(store::User user, std::string current, std::string password,
                                           Visitor visitor) {
  const std::string account = store::email_key(user.email);
  const auto verdict = throttle_.attempt(account, visitor.address);
  if (verdict.verdict != LoginThrottle::Verdict::allowed) co_return LoginThrottled{verdict.wait};
  const auto same = co_await authenticator_.identify(user.organization, user.email, std::move(current));
  if (!same) co_return LoginRefused{};
  throttle_.forget(account, visitor.address);
  const std::string hash = co_await passwords_.hash(std::move(password));
  const store::Actor actor = store::session_actor(user, visitor.address, visitor.user_agent);
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    store::Sessions::change_password_in(connection, clock_, ids_, actor, user.id, hash);
    return LoggedIn{store::Sessions::open_in(connection, clock_, ids_, actor, lifetime_)};
  });
}

Task<LoggedIn> Logins::open_session(store::User user, Visitor visitor) {
  co_return LoggedIn{co_await sessions_.open(
      store::session_actor(user, std::move(visitor.address), std::move(visitor.user_agent)), lifetime_)};
}

Task<void> Logins::note_failure(OrganizationId organization, std::string_view email, const Visitor& visitor,
                                std::string code, std::string message) {
  const store::Actor actor{.organization = std::move(organization),
                           .type = store::ActorType::session,
                           .key = std::nullopt,
                           .owner_kind = contract::OwnerKind::user,
                           .id = "",
                           .email = std::string(text::truncate_utf8(email, max_noted_email)),
                           .address = visitor.address,
                           .user_agent = visitor.user_agent};
  co_await sessions_.note_failure(actor, std::move(code), std::move(message));
}

}  // namespace hearth::domain
