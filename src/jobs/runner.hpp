// The loops that run jobs in a process: looks for work, claims it, runs handlers, keeps the leases, buries
// workers that died.
//
//   run_here() ──┐                       ┌─ perform(job) ─ Handler::run ─ end under the lease
//   wake() ──▶ look ─▶ claim ─▶ Running ─┼─ …
//              ▲ 5 times a second        └─ …          beat ─ watch the others      doubt
//
// A process that holds no job writes nothing. It looks when the database's change token has moved, when a
// job's time has come and when it is woken, so that an idle process costs nothing either.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "async/callback.hpp"
#include "async/runtime.hpp"
#include "async/scope.hpp"
#include "async/semaphore.hpp"
#include "async/task.hpp"
#include "base/clock.hpp"
#include "db/database.hpp"
#include "jobs/handler.hpp"
#include "jobs/queue.hpp"
#include "jobs/workers.hpp"

namespace hearth::jobs {

struct RunnerSettings {
  std::size_t places = 8;                        // jobs at a time, of all kinds; 0: only those of run_here()
  std::chrono::milliseconds lease_time{30'000};  // without a beat for that long, a worker is dead
  std::chrono::milliseconds heartbeat{5'000};
  std::chrono::milliseconds poll{200};
  std::string host;  // for people
};

// How the attempts that ended in this process ended.
struct RunnerCounts {
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t retried = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t released = 0;
  std::uint64_t lost = 0;
};

// Owned by app/. Thread: start(), drain() and stop() on the executor it was made with, the rest any.
class Runner {
 public:
  Runner(const async::Executor& executor, db::Database& database, const Clock& clock, IdSource& ids,
         std::vector<Kind> kinds, RunnerSettings settings);
  Runner(const Runner&) = delete;

  // Begins the loops. stop() must have returned before the runner dies.
  void start();
  // Claims nothing more; what came from the queue is cut short and given back, what run_here() began goes on.
  void drain();
  // Cuts short what still runs, and returns when all of it is given back and the worker has left.
  Task<void> stop();

  // Runs a job in this process, at once and beside the places of the queue: its client waits here. `also`
  // is written in the transaction that makes the job. When this process dies, the job is the queue's as any
  // other. Throws ApiError 503 where the process is stopping or the database is away, db::Error(constraint)
  // where the unique_key is taken, and what `also` throws. The caller waits for the transaction, also when
  // the caller is cancelled.
  using AlsoWith = std::function<void(db::Connection&, const JobId&)>;
  Task<JobId> run_here(NewJob job, AlsoWith also = {});

  // Somebody has enqueued something: look now.
  void wake();

  Queue& queue() { return queue_; }
  std::map<std::string, RunnerCounts> counts() const;
  // What the database says of what has not ended, at most a second old. Throws ApiError 503.
  Task<std::vector<KindStatistics>> statistics();

 private:
  enum class Origin { queue, here };
  enum class Stop { none, cancel, release, lost };
  enum class Ending { succeed, fail, retry, cancel, release, lost };
  struct Running {
    Execution execution;
    Origin origin;
    const Kind* kind;                   // null: this program does not know it
    boost::asio::steady_timer stopped;  // cancelled when `stop` is set
    Stop stop = Stop::none;
    const Job& job() const { return execution.job(); }
  };
  using Entry = std::list<Running>::iterator;
  struct Result {
    Ending ending = Ending::lost;
    std::string error;
    Effect effect;
  };

  Task<void> poll_loop();
  Task<void> beat_loop();
  // A database that does not answer must not keep this process believing: this loop waits for nothing else.
  Task<void> doubt_loop();

  Task<void> poll();
  Task<void> ensure_periodic();
  std::vector<std::string> kinds_with_room() const;
  std::size_t room_of(const Kind& kind) const;
  std::size_t free_places() const;
  Task<void> claim(std::vector<std::string> due);
  // Cuts what is to be cancelled, and gives back what the database says that this process runs and this
  // process does not know: a claim whose answer was lost.
  Task<void> reconcile(std::vector<Outlook::Held> held);

  Task<void> beat();
  Task<void> watch();
  // This process's row, made when there is none.
  Task<WorkerId> ensure_worker();
  // All that this process held is others'.
  void lose_all(std::string_view reason);

  Task<void> make_here(NewJob job, AlsoWith also, async::Resolver<JobId> done);
  Task<Job> enqueue_here(const NewJob& job, const AlsoWith& also, const JobId& id);
  void begin(Job job, Origin origin);
  static void cut(Running& running, Stop stop);
  Task<void> perform(Entry entry);
  // What the handler does, and how the job is to end.
  Task<Result> attempt(Running& running);
  Result failure(const Running& running, Ending ending, std::string_view error) const;
  static Task<void> wait_for_stop(Running& running);
  // Until it is written or the lease is lost; how it has ended.
  Task<Ending> end(Running& running, Result& result);
  void end_in(db::Connection& connection, const Running& running, const Result& result);
  static void tell_ended_in(db::Connection& connection, const Running& running, JobState state,
                            const std::string& error);
  void count(const std::string& kind, Ending ending);

  const async::Executor executor_;
  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
  Queue queue_;
  std::vector<Kind> kinds_;  // by priority
  RunnerSettings settings_;

  // On the executor.
  async::Scope scope_;
  boost::asio::steady_timer poll_timer_;
  boost::asio::steady_timer beat_timer_;
  std::list<Running> running_;
  std::optional<std::uint64_t> token_;  // under which the last look was taken
  std::optional<UnixMillis> next_;      // when the next job may run
  bool is_woken_ = true;
  bool is_draining_ = false;
  bool is_stopping_ = false;
  bool has_periodic_ = false;  // their rows are known to be there
  std::optional<WorkerId> worker_;
  Belief belief_;
  async::Semaphore registering_{1};
  std::set<JobId> expected_;  // of run_here(), while their transaction is under way
  std::size_t claims_ = 0;    // under way
  int idle_beats_ = 0;
  WorkerWatch watch_;

  mutable std::mutex mutex_;  // guards the rest
  std::map<std::string, RunnerCounts> counts_;
  std::vector<KindStatistics> statistics_;
  std::optional<SteadyTime> statistics_at_;
};

}  // namespace hearth::jobs
