// The database as coroutines see it: reads run in parallel, writes are grouped into few commits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "async/task.hpp"
#include "db/driver.hpp"
#include "db/job.hpp"

namespace hearth::db {

// Owned by app/: made after the Runtime, whose coroutines it resumes, and before everything in store/.
// Thread: read(), write() and change_token() from any; the work given to them runs on the database's threads
// and must not touch what belongs to others.
//
// Errors: a full disk, an I/O error, a lock that another process keeps: logged, and ApiError 503
// `storage_unavailable` for every caller whose work is not on the disk. Whatever else the work throws reaches
// its caller as it is, db::Error(constraint) among it. Neither stops the database: the next call tries again.
//
// A caller that is cancelled still waits for its work to end: what was written is known.
class Database {
 public:
  struct Options {
    std::size_t readers = 2;
    std::size_t max_group = 512;  // writes per commit
  };
  struct Counters {
    std::uint64_t commits = 0;
    std::uint64_t writes = 0;
  };

  // Connects; throws Error(unavailable).
  Database(std::unique_ptr<Driver> driver, Options options);
  // Finishes what was handed in.
  ~Database();
  Database(const Database&) = delete;

  // `work(Connection&)` on a reader, all its statements in one snapshot.
  template <class Work>
  auto read(Work work) -> Task<std::invoke_result_t<Work&, Connection&>> {
    return submit(reads_, std::move(work));
  }

  // As read(), on a thread of its own: for the short reads that every request may need (keys, the access
  // epoch), so that they never queue behind the long ones of a few.
  template <class Work>
  auto read_first(Work work) -> Task<std::invoke_result_t<Work&, Connection&>> {
    return submit(first_reads_, std::move(work));
  }

  // `work(Connection&)` on the writer, in a savepoint of a transaction that it shares with other writes: what
  // it throws undoes its own changes only. Returns when that transaction is on the disk. `scope`: the rows
  // that it reads to decide, and those that it writes; until the commit nobody else changes any of them.
  template <class Work>
  auto write(WriteScope scope, Work work) -> Task<std::invoke_result_t<Work&, Connection&>> {
    return submit(writes_, std::move(work), std::move(scope));
  }

  // Changes whenever any process has committed to this database; costs microseconds. Read it before the data
  // that a cache keeps: while it stays the same, so does the data. Nothing else follows from its value.
  std::uint64_t change_token() { return driver_->change_token(); }

  // `listener` learns of the commits of this process that caches need not mind: none of their writes called
  // Connection::announce(), and no other process committed between the two tokens. Not every such commit is
  // told. One listener; nullptr ends it, after which none is running. Called on the writer's thread.
  using QuietCommit = std::function<void(std::uint64_t before, std::uint64_t after)>;
  void on_quiet_commit(QuietCommit listener);

  Counters counters() const { return {commits_.load(), committed_writes_.load()}; }

 private:
  template <class Work>
  static auto submit(JobQueue& queue, Work work, WriteScope scope = WriteScope::everyone())
      -> Task<std::invoke_result_t<Work&, Connection&>> {
    using Result = std::invoke_result_t<Work&, Connection&>;
    co_return co_await async::await_callback<Result>(
        [&queue, work = std::move(work), scope = std::move(scope)](async::Resolver<Result> done) mutable {
          std::unique_ptr<Job> job = std::make_unique<WorkJob<Work>>(std::move(work), std::move(done));
          job->set_scope(std::move(scope));
          if (!queue.push(job)) refuse(*job);
        });
  }
  static void refuse(Job& job);

  void read_loop(JobQueue& queue, std::unique_ptr<Session> session);
  void write_loop(std::unique_ptr<Session> session);
  void write_group(std::unique_ptr<Session>& session, std::unique_ptr<Job> first);
  void run_group(Session& session, std::unique_ptr<Job> first, std::vector<std::unique_ptr<Job>>& group);
  void tell_quiet_commit(std::uint64_t after);

  std::unique_ptr<Driver> driver_;
  Options options_;
  JobQueue reads_;
  JobQueue first_reads_;
  JobQueue writes_;
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> committed_writes_{0};
  // Begins the next group: another server had what it needs. The writer's, as the rest.
  std::unique_ptr<Job> postponed_;
  // The writer's memory of the last group, from which it guesses how long more writes are worth waiting for.
  std::size_t last_group_ = 0;
  std::chrono::steady_clock::duration last_commit_{};
  std::uint64_t token_before_ = 0;  // the change token when the writer's transaction had begun
  std::mutex listener_mutex_;
  QuietCommit listener_;  // guarded by listener_mutex_
  std::vector<std::jthread> threads_;
};

}  // namespace hearth::db
