// What the sessions and the watcher of one PostgreSQL driver share.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "db/postgres.hpp"
#include "db/postgres_connection.hpp"

namespace hearth::db {

// The channel on which commits are announced; the payload is the sender.
inline constexpr std::string_view change_channel = "hearth_changed";

// Thread: any.
class PostgresShared {
 public:
  explicit PostgresShared(PostgresOptions options);

  const PostgresOptions& options() const { return options_; }
  // The statement that tells everybody who watches of a commit, signed so that the driver's own watcher can
  // tell its commits from others'.
  const std::string& announcement() const { return announcement_; }
  const std::string& sender() const { return sender_; }

  // Refuses at once for a moment after a failure, longer after each, so that callers do not queue for a
  // server that is away. Throws Error(unavailable).
  PostgresConnection connect(const std::string& set_up);

  void note_change() { changes_.fetch_add(1); }
  std::uint64_t next_change() { return changes_.fetch_add(1) + 1; }
  std::uint64_t changes() const { return changes_.load(); }

 private:
  PostgresOptions options_;
  std::string announcement_;
  std::string sender_;
  std::atomic<std::uint64_t> changes_{0};
  std::mutex mutex_;
  std::chrono::steady_clock::time_point retry_at_{};  // guarded by mutex_
  std::chrono::milliseconds pause_{0};                // guarded by mutex_
  std::string last_failure_;                          // guarded by mutex_
};

}  // namespace hearth::db
