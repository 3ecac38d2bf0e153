// Makes people wait who try passwords too often.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"

namespace hearth::domain {

// Counts the attempts of the last minutes for each address (of IPv6 the network of 64 bits), each account
// from one address, and each account from everywhere. Lives in one process and forgets when that ends.
// Thread: any.
class LoginThrottle {
 public:
  static constexpr int attempts_per_pair = 5;       // of one account from one address
  static constexpr int attempts_per_address = 50;   // for all accounts together
  static constexpr int attempts_per_account = 100;  // from all addresses together
  static constexpr std::chrono::minutes window{15};
  static constexpr std::size_t max_entries = 20'000;

  explicit LoginThrottle(const Clock& clock) : clock_(clock) {}

  enum class Verdict { allowed, refused_now, still_refused };
  struct Answer {
    Verdict verdict = Verdict::allowed;
    std::chrono::seconds wait{0};  // when refused
  };

  // Counts an attempt before it is made: attempts at the same time do not slip through.
  Answer attempt(std::string_view account, std::string_view address);
  // The attempt was right.
  void forget(std::string_view account, std::string_view address);

  std::size_t size() const;

 private:
  struct Entry {
    int attempts = 0;
    SteadyTime end;  // of its window
  };

  Answer count(const std::string& key, int allowed, SteadyTime now);
  bool make_room(SteadyTime now);

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;  // guarded by mutex_
};

}  // namespace hearth::domain
