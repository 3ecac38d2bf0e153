#include "db/postgres.hpp"

#include <mutex>
#include <utility>

#include "base/log.hpp"
#include "db/postgres_session.hpp"
#include "db/postgres_watcher.hpp"

namespace hearth::db {
namespace {

class PostgresDriver final : public Driver {
 public:
  explicit PostgresDriver(PostgresOptions options)
      : shared_(std::make_shared<PostgresShared>(std::move(options))) {}

  std::unique_ptr<Session> connect(Access access) override {
    return std::make_unique<PostgresSession>(shared_, access);
  }

  std::uint64_t change_token() override {
    std::call_once(watched_, [this] { watcher_.emplace(shared_); });
    return watcher_->is_listening() ? shared_->changes() : shared_->next_change();
  }

  // What others have committed may be announced later than this server's own commits.
  bool is_one_commit(std::uint64_t, std::uint64_t) const override { return false; }

 private:
  std::shared_ptr<PostgresShared> shared_;
  std::once_flag watched_;
  std::optional<PostgresWatcher> watcher_;
};

}  // namespace

std::unique_ptr<Driver> open_postgres(PostgresOptions options) {
  return std::make_unique<PostgresDriver>(std::move(options));
}

// All connections of this program have the same name, unless the URL gives one.
bool is_open_elsewhere(const PostgresOptions& options) {
  PostgresSession session(std::make_shared<PostgresShared>(options), Access::read);
  const Rows rows = session.query(
      "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() "
      "AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()");
  return rows[0].get<int>(0) > 0;
}

}  // namespace hearth::db
