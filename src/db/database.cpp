#include "db/database.hpp"

#include <algorithm>

#include "base/api_error.hpp"
#include "base/log.hpp"

namespace hearth::db {
namespace {

using SteadyClock = std::chrono::steady_clock;

// With the driver's own wait (5 s for SQLite) the longest time that a write waits for another process.
constexpr int begin_attempts = 2;
constexpr SteadyClock::duration max_gathering = std::chrono::milliseconds(2);

std::exception_ptr storage_unavailable() {
  return std::make_exception_ptr(ApiError::unavailable(
      "storage_unavailable", "The server cannot reach its storage at the moment. Please try again."));
}

// What the caller gets for `reason`; logs the internal cause of what becomes a 503.
std::exception_ptr for_caller(std::exception_ptr reason) {
  try {
    std::rethrow_exception(reason);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::busy && error.kind() != ErrorKind::unavailable) return reason;
    log::error("db.unavailable", {{"reason", error.what()}});
    return storage_unavailable();
  } catch (...) {
    return reason;
  }
}

void begin(Session& session, const WriteScope& scope) {
  for (int attempt = 1;; ++attempt) {
    try {
      return session.begin(scope);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::busy || attempt == begin_attempts) throw;
      log::warn("db.busy", {{"reason", error.what()}, {"attempt", attempt}});
    }
  }
}

// Runs `job` in its own savepoint. Throws only when the whole transaction is lost.
void run_in_savepoint(Session& session, Job& job) {
  session.set_savepoint();
  try {
    job.run(session);
    session.release_savepoint();
  } catch (...) {
    job.fail(for_caller(std::current_exception()));
    if (!session.in_transaction()) throw;
    session.rollback_to_savepoint();
  }
}

}  // namespace

bool JobQueue::push(std::unique_ptr<Job>& job) {
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  jobs_.push_back(std::move(job));
  changed_.notify_one();
  return true;
}

std::unique_ptr<Job> JobQueue::pop() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
  return take();
}

std::unique_ptr<Job> JobQueue::pop_until(SteadyClock::time_point deadline) {
  std::unique_lock lock(mutex_);
  if (jobs_.empty() && SteadyClock::now() < deadline) {
    changed_.wait_until(lock, deadline, [this] { return closed_ || !jobs_.empty(); });
  }
  return take();
}

std::unique_ptr<Job> JobQueue::take() {
  if (jobs_.empty()) return nullptr;
  auto job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
}

void JobQueue::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

Database::Database(std::unique_ptr<Driver> driver, Options options)
    : driver_(std::move(driver)), options_(options) {
  auto writer = driver_->connect(Access::write);
  std::vector<std::unique_ptr<Session>> readers;
  for (std::size_t i = 0; i < std::max<std::size_t>(options_.readers, 1); ++i)
    readers.push_back(driver_->connect(Access::read));
  auto first_reader = driver_->connect(Access::read);
  threads_.emplace_back([this, session = std::move(writer)]() mutable { write_loop(std::move(session)); });
  threads_.emplace_back(
      [this, session = std::move(first_reader)]() mutable { read_loop(first_reads_, std::move(session)); });
  for (auto& reader : readers) {
    threads_.emplace_back(
        [this, session = std::move(reader)]() mutable { read_loop(reads_, std::move(session)); });
  }
}

Database::~Database() {
  reads_.close();
  first_reads_.close();
  writes_.close();
}

void Database::refuse(Job& job) {
  job.fail(storage_unavailable());
  job.resolve();
}

void Database::read_loop(JobQueue& queue, std::unique_ptr<Session> session) {
  while (auto job = queue.pop()) {
    try {
      if (!session) session = driver_->connect(Access::read);
      begin(*session, job->scope());
      job->run(*session);
      session->commit();
    } catch (...) {
      job->fail(for_caller(std::current_exception()));
      if (session && !session->rollback()) session.reset();
    }
    job->resolve();
  }
}

void Database::write_loop(std::unique_ptr<Session> session) {
  while (auto job = postponed_ ? std::move(postponed_) : writes_.pop())
    write_group(session, std::move(job));
}

void Database::write_group(std::unique_ptr<Session>& session, std::unique_ptr<Job> first) {
  std::vector<std::unique_ptr<Job>> group;
  try {
    if (!session) session = driver_->connect(Access::write);
    run_group(*session, std::move(first), group);
    const auto started = SteadyClock::now();
    session->commit();
    if (!session->take_announcement()) tell_quiet_commit(driver_->change_token());
    last_commit_ = SteadyClock::now() - started;
    commits_.fetch_add(1);
    committed_writes_.fetch_add(group.size());
  } catch (...) {
    const std::exception_ptr reason = for_caller(std::current_exception());
    if (first) group.push_back(std::move(first));
    for (auto& job : group)
      job->fail(reason);
    if (session && !session->rollback()) session.reset();
  }
  last_group_ = group.size();
  for (auto& job : group)
    job->resolve();
}

void Database::on_quiet_commit(QuietCommit listener) {
  std::lock_guard lock(listener_mutex_);
  listener_ = std::move(listener);
}

void Database::tell_quiet_commit(std::uint64_t after) {
  if (!driver_->is_one_commit(token_before_, after)) return;
  std::lock_guard lock(listener_mutex_);
  if (listener_) listener_(token_before_, after);
}

// Writes come in waves: the callers that the last commit woke send their next ones. Waiting for as many as
// came last time, though never longer than half a commit takes, keeps the wave in one group; a lone caller
// never waits. Each is run as it arrives. A group waits for the scope of its first write alone, and holds
// nothing while it does: no circle of servers can wait for each other.
void Database::run_group(Session& session, std::unique_ptr<Job> first,
                         std::vector<std::unique_ptr<Job>>& group) {
  group.reserve(last_group_ + 1);
  group.push_back(std::move(first));
  begin(session, group.front()->scope());
  session.take_announcement();              // of a transaction that was lost
  token_before_ = driver_->change_token();  // nobody else can commit now
  const auto deadline = SteadyClock::now() + std::min(last_commit_ / 2, max_gathering);
  for (;;) {
    run_in_savepoint(session, *group.back());
    if (group.size() >= options_.max_group) return;
    auto next = writes_.pop_until(group.size() < last_group_ ? deadline : SteadyClock::time_point());
    if (!next) return;
    group.push_back(std::move(next));
    if (!session.try_include(group.back()->scope())) {
      postponed_ = std::move(group.back());
      return group.pop_back();
    }
  }
}

}  // namespace hearth::db
