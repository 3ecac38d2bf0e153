#include "db/postgres_watcher.hpp"

#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/log.hpp"

namespace hearth::db {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds heartbeat{500};
constexpr std::chrono::milliseconds heartbeat_answer{1000};
constexpr std::chrono::milliseconds reconnect_pause{100};

struct FreeNotification {
  void operator()(PGnotify* notification) const { PQfreemem(notification); }
};

}  // namespace

PostgresWatcher::PostgresWatcher(std::shared_ptr<PostgresShared> shared)
    : shared_(std::move(shared)), stop_(::eventfd(0, EFD_CLOEXEC)), thread_([this] { run(); }) {}

PostgresWatcher::~PostgresWatcher() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_, &one, sizeof one);
  thread_.join();
  ::close(stop_);
}

void PostgresWatcher::run() {
  bool warned = false;
  do {
    try {
      listen();
      return;
    } catch (const std::exception& error) {
      const bool had_listened = listening_.exchange(false);
      if (had_listened || !warned) log::warn("db.watcher_away", {{"reason", error.what()}});
      warned = true;
    }
  } while (wait(-1, reconnect_pause));
}

void PostgresWatcher::listen() {
  PostgresConnection connection = shared_->connect(fmt::format("LISTEN {}", change_channel));
  shared_->note_change();  // what was committed before this is unknown
  listening_ = true;
  while (wait(connection.socket(), heartbeat)) {
    take_announcements(connection);
    connection.check_sent(
        PQsendQueryParams(connection.handle(), "SELECT 1", 0, nullptr, nullptr, nullptr, nullptr, 0));
    connection.check_sent(PQpipelineSync(connection.handle()));
    const auto deadline = SteadyClock::now() + heartbeat_answer;
    connection.flush(deadline);
    for (;;) {
      const Result result = connection.next(deadline);
      if (result && PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) break;
    }
    take_announcements(connection);
  }
}

bool PostgresWatcher::wait(int socket, std::chrono::milliseconds time) const {
  std::array<pollfd, 2> both{{{stop_, POLLIN, 0}, {socket, POLLIN, 0}}};
  ::poll(both.data(), both.size(), static_cast<int>(time.count()));
  return both[0].revents == 0;
}

void PostgresWatcher::take_announcements(PostgresConnection& connection) {
  connection.take_in();
  if (connection.is_lost()) throw Error(ErrorKind::unavailable, "the connection to PostgreSQL is closed");
  for (;;) {
    const std::unique_ptr<PGnotify, FreeNotification> notification(PQnotifies(connection.handle()));
    if (!notification) return;
    if (notification->extra != shared_->sender()) shared_->note_change();
  }
}

}  // namespace hearth::db
