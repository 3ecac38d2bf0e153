#include "db/postgres_shared.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include <fmt/format.h>

namespace hearth::db {
namespace {

constexpr std::chrono::milliseconds first_pause{25};
constexpr std::chrono::milliseconds longest_pause{1000};

}  // namespace

PostgresShared::PostgresShared(PostgresOptions options)
    : options_(std::move(options)),
      announcement_(fmt::format("SELECT pg_notify('{}', '{:08x}{:08x}')", change_channel,
                                std::random_device()(), std::random_device()())) {
  constexpr std::size_t sender_length = 16;
  sender_ = announcement_.substr(announcement_.size() - 2 - sender_length, sender_length);
}

PostgresConnection PostgresShared::connect(const std::string& set_up) {
  {
    std::lock_guard lock(mutex_);
    if (std::chrono::steady_clock::now() < retry_at_) throw Error(ErrorKind::unavailable, last_failure_);
  }
  try {
    PostgresConnection connection(options_, set_up);
    std::lock_guard lock(mutex_);
    retry_at_ = {};
    pause_ = {};
    return connection;
  } catch (const Error& error) {
    std::lock_guard lock(mutex_);
    pause_ = std::clamp(pause_ * 2, first_pause, longest_pause);
    retry_at_ = std::chrono::steady_clock::now() + pause_;
    last_failure_ = error.what();
    throw;
  }
}

}  // namespace hearth::db
