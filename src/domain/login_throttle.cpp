#include "domain/login_throttle.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"

namespace hearth::domain {
namespace {

// Hashed, so that what callers send does not decide how much memory it takes.
std::string account_key(std::string_view account, std::string_view address) {
  return text::sha256_hex(fmt::format("{}\n{}", address, account));
}

std::string address_key(std::string_view address) {
  return text::sha256_hex(address);
}

}  // namespace

LoginThrottle::Answer LoginThrottle::attempt(std::string_view account, std::string_view address) {
  const SteadyTime now = clock_.steady_now();
  std::lock_guard lock(mutex_);
  const Answer by_account = count(account_key(account, address), attempts_per_account, now);
  if (by_account.verdict != Verdict::allowed) return by_account;
  return count(address_key(address), attempts_per_address, now);
}

void LoginThrottle::forget(std::string_view account, std::string_view address) {
  std::lock_guard lock(mutex_);
  entries_.erase(account_key(account, address));
  const auto found = entries_.find(address_key(address));
  if (found != entries_.end()) found->second.attempts = std::max(0, found->second.attempts - 1);
}

std::size_t LoginThrottle::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

LoginThrottle::Answer LoginThrottle::count(const std::string& key, int allowed, SteadyTime now) {
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    make_room(now);
    found = entries_.emplace(key, Entry{0, now + window}).first;
  }
  Entry& entry = found->second;
  if (entry.end <= now) entry = {0, now + window};
  if (entry.attempts < allowed) {
    ++entry.attempts;
    return {};
  }
  const bool first = entry.attempts == allowed;
  entry.attempts = allowed + 1;
  return {first ? Verdict::refused_now : Verdict::still_refused,
          std::chrono::ceil<std::chrono::seconds>(entry.end - now)};
}

void LoginThrottle::make_room(SteadyTime now) {
  if (entries_.size() < max_entries) return;
  std::erase_if(entries_, [now](const auto& entry) { return entry.second.end <= now; });
  if (entries_.size() < max_entries) return;
  // All of them are fresh: those of the fewest attempts go, accounts that are being guessed stay.
  std::erase_if(entries_, [](const auto& entry) { return entry.second.attempts <= 1; });
  if (entries_.size() >= max_entries) entries_.clear();
}

}  // namespace hearth::domain
