// Time as a service, so that tests own it.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

namespace hearth {

using UnixSeconds = std::int64_t;
using SteadyTime = std::chrono::steady_clock::time_point;

// Thread: any.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::chrono::system_clock::time_point now() const { return std::chrono::system_clock::now(); }
  virtual SteadyTime steady_now() const { return std::chrono::steady_clock::now(); }
  UnixSeconds unix_now() const {
    return std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
  }
};

// A clock that stands still until a test moves it.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(
      std::chrono::system_clock::time_point start = std::chrono::sys_days{std::chrono::year{2025} / 4 / 29})
      : now_(start), steady_(std::chrono::seconds(1)) {}
  std::chrono::system_clock::time_point now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  SteadyTime steady_now() const override {
    std::lock_guard lock(mutex_);
    return steady_;
  }
  void advance(std::chrono::milliseconds by) {
    std::lock_guard lock(mutex_);
    now_ += by;
    steady_ += by;
  }

 private:
  mutable std::mutex mutex_;
  std::chrono::system_clock::time_point now_;
  SteadyTime steady_;
};

}  // namespace hearth
