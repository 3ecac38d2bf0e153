// A number that moves with every administrative change: keys, roles, limits, budgets, certificates.
//
// Caches of such things keep the epoch under which they read. Asking for it costs nothing while nobody
// commits, and one read of one row after a commit, of whatever kind and in whatever process.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "db/database.hpp"

namespace hearth::store {

// Thread: any. Owned by app/.
class AccessEpoch {
 public:
  explicit AccessEpoch(db::Database& database) : database_(database) {}

  // Read it before the data that a cache keeps.
  Task<std::uint64_t> current();

  // Every change that a cache must notice calls this in its own transaction; AuditLogs::append_in does it for
  // what is audited. Until the commit other such changes wait: one that checks something before it changes it
  // calls this first. Thread: the database's.
  static void advance_in(db::Connection& connection);

 private:
  db::Database& database_;
  std::mutex mutex_;
  bool known_ = false;       // guarded by mutex_, as the next two
  std::uint64_t token_ = 0;  // the change token under which epoch_ was read
  std::uint64_t epoch_ = 0;
};

}  // namespace hearth::store
