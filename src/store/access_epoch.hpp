// A number that moves with every administrative change: keys, roles, limits, budgets, certificates. It is the
// sum of what each organization has changed, so that no two of them wait for one row.
//
// Caches of such things keep the epoch under which they read. Asking for it costs nothing while nobody
// commits, and one short read after a commit of another process, or one that advanced it: all who ask
// meanwhile share that read. PostgreSQL does not tell whose commit it was, so there each commit costs one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "async/callback.hpp"
#include "db/database.hpp"

namespace hearth::store {

// Thread: any. Owned by app/.
class AccessEpoch {
 public:
  explicit AccessEpoch(db::Database& database);
  ~AccessEpoch();
  AccessEpoch(const AccessEpoch&) = delete;

  // The epoch now, where nobody has committed since it was read. A request asks once, before it reads
  // anything that a cache keeps, and hands on what it was told; nullopt: read() it.
  std::optional<std::uint64_t> find_current();
  Task<std::uint64_t> read();
  // The one or the other.
  Task<std::uint64_t> current();

  // Every change that a cache must notice calls this in its own transaction; AuditLogs::append_in does it for
  // what is audited. `organization`: whose change it is. Thread: the database's.
  static void advance_in(db::Connection& connection, const OrganizationId& organization);

 private:
  // A read of the row that has begun, and who waits for it.
  struct Reading {
    std::uint64_t token = 0;  // the change token before it began
    bool ended = false;
    std::optional<std::uint64_t> epoch;  // nullopt at its end: it failed, or who read was cancelled
    std::vector<async::Resolver<void>> waiting;
  };

  // After a commit of this process that did not advance it: what was known stays so.
  void carry_over(std::uint64_t before, std::uint64_t after);
  Task<std::uint64_t> read_row();
  Task<std::uint64_t> read_for_all(std::shared_ptr<Reading> reading);
  void end(Reading& reading, std::optional<std::uint64_t> epoch);

  db::Database& database_;
  std::mutex mutex_;
  bool known_ = false;       // guarded by mutex_, as the rest
  std::uint64_t token_ = 0;  // the change token under which epoch_ was read
  std::uint64_t epoch_ = 0;
  std::shared_ptr<Reading> reading_;  // the latest; null when none runs
};

}  // namespace hearth::store
