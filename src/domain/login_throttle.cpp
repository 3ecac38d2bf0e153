#include "domain/login_throttle.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <initializer_list>
#include <netinet/in.h>
#include <span>

#include <fmt/format.h>

#include "base/text.hpp"

namespace hearth::domain {
namespace {

// Whoever has an IPv6 address has the 2^64 beside it.
std::string network_of(std::string_view address) {
  in6_addr parsed{};
  if (inet_pton(AF_INET6, std::string(address).c_str(), &parsed) != 1) return std::string(address);
  return text::encode_hex(std::as_bytes(std::span(parsed.s6_addr).first(8)));
}

// Hashed, so that what callers send does not decide how much memory it takes.
std::string pair_key(std::string_view account, std::string_view address) {
  return text::sha256_hex(fmt::format("pair\n{}\n{}", network_of(address), account));
}

std::string account_key(std::string_view account) {
  return text::sha256_hex(fmt::format("account\n{}", account));
}

std::string address_key(std::string_view address) {
  return text::sha256_hex(fmt::format("address\n{}", network_of(address)));
}

// Everybody of this machine comes from one UNIX socket: their accounts are counted, not the socket.
bool is_shared(std::string_view address) {
  return address == "unix";
}

}  // namespace

LoginThrottle::Answer LoginThrottle::attempt(std::string_view account, std::string_view address) {
  const SteadyTime now = clock_.steady_now();
  std::lock_guard lock(mutex_);
  // The address first: one that is refused leaves nothing behind for the accounts it names.
  if (!is_shared(address)) {
    const Answer by_address = count(address_key(address), attempts_per_address, now);
    if (by_address.verdict != Verdict::allowed) return by_address;
  }
  const Answer by_pair = count(pair_key(account, address), attempts_per_pair, now);
  if (by_pair.verdict != Verdict::allowed) return by_pair;
  return count(account_key(account), attempts_per_account, now);
}

void LoginThrottle::forget(std::string_view account, std::string_view address) {
  std::lock_guard lock(mutex_);
  entries_.erase(pair_key(account, address));
  for (const std::string& key : {account_key(account), address_key(address)}) {
    const auto found = entries_.find(key);
    if (found != entries_.end()) found->second.attempts = std::max(0, found->second.attempts - 1);
  }
}

std::size_t LoginThrottle::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

LoginThrottle::Answer LoginThrottle::count(const std::string& key, int allowed, SteadyTime now) {
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (!make_room(now)) return {Verdict::still_refused, window};
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

// False when all of them are fresh and counted more than once: the newcomer is refused, none of them is
// forgotten.
bool LoginThrottle::make_room(SteadyTime now) {
  if (entries_.size() < max_entries) return true;
  std::erase_if(entries_, [now](const auto& entry) { return entry.second.end <= now; });
  if (entries_.size() < max_entries) return true;
  std::erase_if(entries_, [](const auto& entry) { return entry.second.attempts <= 1; });
  return entries_.size() < max_entries;
}

}  // namespace hearth::domain
