#include "domain/passwords.hpp"

#include <argon2.h>
#include <array>
#include <chrono>
#include <stdexcept>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/text.hpp"

namespace hearth::domain {
namespace {

constexpr std::uint32_t memory_kib = 19 * 1024;
constexpr std::uint32_t passes = 2;
constexpr std::uint32_t lanes = 1;
constexpr std::size_t salt_length = 22;  // letters and digits: 131 bits
constexpr std::size_t hash_length = 32;
constexpr std::size_t turns = 2;
constexpr std::chrono::seconds patience{10};

// The hash of a password that nobody can send, with the parameters of real ones.
const std::string& nobodys_hash(IdSource& ids) {
  static const std::string hash = hash_password(ids.secret(40), ids);
  return hash;
}

}  // namespace

std::optional<std::string> find_password_fault(std::string_view password) {
  if (!text::is_valid_utf8(password)) return "The password is not valid text.";
  if (password.size() > max_password_bytes)
    return fmt::format("The password is too long: at most {} bytes.", max_password_bytes);
  if (text::count_code_points(password) < min_password_characters)
    return fmt::format("The password is too short: at least {} characters.", min_password_characters);
  return std::nullopt;
}

std::string hash_password(std::string_view password, IdSource& ids) {
  const std::string salt = ids.secret(salt_length);
  std::string encoded(argon2_encodedlen(passes, memory_kib, lanes, salt_length, hash_length, Argon2_id),
                      '\0');
  const int result =
      argon2id_hash_encoded(passes, memory_kib, lanes, password.data(), password.size(), salt.data(),
                            salt.size(), hash_length, encoded.data(), encoded.size());
  if (result != ARGON2_OK)
    throw std::runtime_error(fmt::format("argon2 failed: {}", argon2_error_message(result)));
  encoded.resize(encoded.find('\0'));
  return encoded;
}

bool verify_password(const std::string& hash, std::string_view password) {
  return argon2id_verify(hash.c_str(), password.data(), password.size()) == ARGON2_OK;
}

Passwords::Passwords(async::BlockingPool& pool, IdSource& ids) : pool_(pool), ids_(ids), turns_(turns) {}

Task<std::string> Passwords::hash(std::string password) {
  const auto turn = co_await wait_for_turn();
  co_return co_await pool_.run(
      [password = std::move(password), this] { return hash_password(password, ids_); });
}

Task<bool> Passwords::verify(std::optional<std::string> hash, std::string password) {
  const auto turn = co_await wait_for_turn();
  co_return co_await pool_.run([hash = std::move(hash), password = std::move(password), this] {
    const bool same = verify_password(hash ? *hash : nobodys_hash(ids_), password);
    return same && hash.has_value();
  });
}

Task<async::Semaphore::Permit> Passwords::wait_for_turn() {
  auto permit = co_await turns_.acquire(1, patience);
  if (!permit)
    throw ApiError::unavailable("overloaded",
                                "Too many people are logging in at the moment; try again in a minute.");
  co_return std::move(*permit);
}

}  // namespace hearth::domain
