// Listens for what other servers commit, so that caches are read again.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "db/postgres_shared.hpp"

namespace hearth::db {

// A thread with a connection of its own. It asks the server twice a second whether it is still there: an
// announcement that got lost on the way is believed for no longer than that.
class PostgresWatcher {
 public:
  explicit PostgresWatcher(std::shared_ptr<PostgresShared> shared);
  ~PostgresWatcher();
  PostgresWatcher(const PostgresWatcher&) = delete;

  // Whether announcements arrive. Thread: any.
  bool is_listening() const { return listening_.load(); }

 private:
  void run();
  void listen();
  // False when it is to end.
  bool wait(int socket, std::chrono::milliseconds time) const;
  void take_announcements(PostgresConnection& connection);

  std::shared_ptr<PostgresShared> shared_;
  std::atomic<bool> listening_{false};
  int stop_ = -1;  // an eventfd
  std::jthread thread_;
};

}  // namespace hearth::db
