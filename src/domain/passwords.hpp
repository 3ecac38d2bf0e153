// Passwords: what is allowed, and their hashes.
//
// argon2id with 19 MiB, 2 passes and 1 lane (the least that OWASP recommends), a random salt for each, kept
// as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`. The parameters stand in the string, so that
// stored ones stay readable when these here are raised.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "async/blocking_pool.hpp"
#include "async/semaphore.hpp"
#include "base/id.hpp"

namespace hearth::domain {

inline constexpr std::size_t min_password_characters = 10;
inline constexpr std::size_t max_password_bytes = 256;

// What is wrong with a new password, as a sentence for who chose it; nullopt when it is fine.
std::optional<std::string> find_password_fault(std::string_view password);

// Blocking: tens of milliseconds and 19 MiB each.
std::string hash_password(std::string_view password, IdSource& ids);
// Takes the same time wherever the passwords differ. False also for a hash that cannot be read.
bool verify_password(const std::string& hash, std::string_view password);

// Hashes on the blocking pool, few at a time: whoever sends many logins waits, and nobody else does. ApiError
// 503 after some seconds of waiting. Thread: any.
class Passwords {
 public:
  Passwords(async::BlockingPool& pool, IdSource& ids);

  Task<std::string> hash(std::string password);
  // Without a hash the work is done all the same: how long an answer takes does not tell whether there is a
  // user with a password.
  Task<bool> verify(std::optional<std::string> hash, std::string password);

 private:
  Task<async::Semaphore::Permit> wait_for_turn();

  async::BlockingPool& pool_;
  IdSource& ids_;
  async::Semaphore turns_;
};

}  // namespace hearth::domain
