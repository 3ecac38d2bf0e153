#include "jobs/runner.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>

#include "async/deadline.hpp"
#include "async/interruptible.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"

namespace hearth::jobs {
namespace {

constexpr std::size_t most_cancelled = 32;  // claimed at a time
constexpr int idle_beats_to_leave = 2;
constexpr std::chrono::seconds registration_patience{30};
constexpr std::chrono::seconds statistics_age{1};
constexpr std::chrono::milliseconds ending_pause{500};
constexpr int most_tries_when_stopping = 6;
constexpr std::string_view died = "the process that ran the job died, as often as it may";

ApiError stopping() {
  return ApiError::unavailable("shutting_down", "The server is stopping; try again.");
}

bool is_storage_away(const ApiError& error) {
  return error.code() == "storage_unavailable";
}

// What the request that made the job asked for cannot be done, now or later.
bool is_final(const ApiError& error) {
  constexpr int timeout = 408, conflict = 409, too_many = 429;
  return error.status() >= 400 && error.status() < 500 && error.status() != timeout &&
         error.status() != conflict && error.status() != too_many;
}

std::string_view request_of(const Job& job) {
  return job.request ? std::string_view(job.request->str()) : "";
}

Task<void> wait(boost::asio::steady_timer& timer, std::chrono::milliseconds time) {
  timer.expires_after(time);
  co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

}  // namespace

Runner::Runner(const async::Executor& executor, db::Database& database, const Clock& clock, IdSource& ids,
               std::vector<Kind> kinds, RunnerSettings settings)
    : executor_(executor),
      database_(database),
      clock_(clock),
      ids_(ids),
      queue_(clock, ids),
      kinds_(std::move(kinds)),
      settings_(std::move(settings)),
      scope_(executor),
      poll_timer_(executor),
      beat_timer_(executor),
      belief_(settings_.lease_time) {
  std::ranges::sort(kinds_, std::ranges::greater(), &Kind::priority);
}

void Runner::start() {
  scope_.spawn("jobs", poll_loop());
  scope_.spawn("job leases", beat_loop());
  scope_.spawn("job doubts", doubt_loop());
}

void Runner::drain() {
  is_draining_ = true;
  for (Running& running : running_) {
    if (running.origin == Origin::queue) cut(running, Stop::release);
  }
}

Task<void> Runner::stop() {
  drain();
  is_stopping_ = true;
  for (Running& running : running_)
    cut(running, Stop::release);
  poll_timer_.cancel();
  beat_timer_.cancel();
  co_await scope_.join();
  if (!worker_) co_return;
  try {
    co_await database_.write(queue_scope(), [worker = *worker_](db::Connection& connection) {
      workers::leave_in(connection, worker);
    });
  } catch (const std::exception& failure) {  // others take over when the lease ends
    log::warn("jobs.not_given_back", {{"reason", failure.what()}});
  }
  worker_.reset();
}

void Runner::wake() {
  boost::asio::post(executor_, [this] {
    is_woken_ = true;
    poll_timer_.cancel();
  });
}

std::map<std::string, RunnerCounts> Runner::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

Task<std::vector<KindStatistics>> Runner::statistics() {
  {
    std::lock_guard lock(mutex_);
    if (statistics_at_ && clock_.steady_now() - *statistics_at_ < statistics_age) co_return statistics_;
  }
  auto found = co_await database_.read(
      [this](db::Connection& connection) { return queue_.statistics_in(connection); });
  std::lock_guard lock(mutex_);
  statistics_ = found;
  statistics_at_ = clock_.steady_now();
  co_return found;
}

// ---- loops

Task<void> Runner::poll_loop() {
  bool failing = false;  // one line for a row of failures
  while (!is_stopping_) {
    try {
      co_await poll();
      failing = false;
    } catch (const std::exception& failure) {
      if (!failing) log::warn("jobs.no_look", {{"reason", failure.what()}});
      failing = true;
      is_woken_ = true;
    }
    if (is_stopping_) break;
    if (failing || !is_woken_) co_await wait(poll_timer_, settings_.poll);
  }
}

Task<void> Runner::beat_loop() {
  bool failing = false;
  while (!is_stopping_ || !running_.empty()) {
    co_await wait(beat_timer_, settings_.heartbeat);
    try {
      co_await beat();
      co_await watch();
      failing = false;
    } catch (const std::exception& failure) {
      if (!failing) log::warn("jobs.no_beat", {{"reason", failure.what()}});
      failing = true;
    }
  }
}

Task<void> Runner::doubt_loop() {
  while (!is_stopping_ || !running_.empty()) {
    co_await async::sleep_for(settings_.poll);
    if (worker_ && !belief_.holds(clock_.steady_now())) lose_all("the database was away for too long");
  }
}

// ---- looking and claiming

Task<void> Runner::poll() {
  const std::uint64_t token = database_.change_token();
  const bool is_time = next_ && unix_millis(clock_) >= *next_;
  if (!std::exchange(is_woken_, false) && token_ == token && !is_time) co_return;
  if (!has_periodic_) co_await ensure_periodic();
  // The database's threads get copies: what the executor owns may change meanwhile.
  Outlook outlook = co_await database_.read(
      [this, kinds = kinds_with_room(), worker = worker_](db::Connection& connection) {
        return queue_.look_in(connection, kinds, worker);
      });
  token_ = token;
  next_ = outlook.next;
  co_await reconcile(std::move(outlook.held));
  if (is_draining_ || settings_.places == 0) co_return;
  if (!outlook.due.empty() || outlook.has_cancelled) co_await claim(std::move(outlook.due));
}

Task<void> Runner::ensure_periodic() {
  const bool any = std::ranges::any_of(kinds_, [](const Kind& kind) { return kind.every.has_value(); });
  if (any) {
    co_await database_.write(queue_scope(), [this](db::Connection& connection) {
      for (const Kind& kind : kinds_) {
        if (kind.every) queue_.enqueue_in(connection, {.kind = kind.name, .unique_key = kind.name});
      }
    });
  }
  has_periodic_ = true;
}

std::size_t Runner::free_places() const {
  const auto taken = std::ranges::count(running_, Origin::queue, &Running::origin);
  return settings_.places - std::min(settings_.places, static_cast<std::size_t>(taken));
}

std::size_t Runner::room_of(const Kind& kind) const {
  const auto taken = static_cast<std::size_t>(std::ranges::count_if(running_, [&](const Running& running) {
    return running.kind == &kind && running.origin == Origin::queue;
  }));
  return kind.concurrency - std::min(kind.concurrency, taken);
}

std::vector<std::string> Runner::kinds_with_room() const {
  std::vector<std::string> names;
  if (is_draining_ || free_places() == 0) return names;
  for (const Kind& kind : kinds_) {
    if (room_of(kind) > 0) names.push_back(kind.name);
  }
  return names;
}

Task<void> Runner::claim(std::vector<std::string> due) {
  const WorkerId worker = co_await ensure_worker();
  struct Share {
    std::string kind;
    std::size_t room;
  };
  std::vector<Share> shares;
  for (const Kind& kind : kinds_) {
    if (std::ranges::find(due, kind.name) != due.end()) shares.push_back({kind.name, room_of(kind)});
  }
  std::vector<Job> claimed;
  ++claims_;
  std::exception_ptr failure;
  bool buried = false;
  try {
    claimed =
        co_await database_.write(queue_scope(), [&, places = free_places()](db::Connection& connection) {
          std::vector<Job> jobs = queue_.claim_cancelled_in(connection, worker, most_cancelled);
          std::size_t left = places;
          for (const Share& share : shares) {
            if (left == 0) break;
            for (Job& job : queue_.claim_in(connection, worker, share.kind, std::min(left, share.room))) {
              jobs.push_back(std::move(job));
              --left;
            }
          }
          return jobs;
        });
  } catch (const db::Error& error) {
    buried = error.kind() == db::ErrorKind::constraint;
    if (!buried) failure = std::current_exception();
  } catch (...) {
    failure = std::current_exception();
  }
  --claims_;
  if (buried && worker_ == worker) lose_all("the worker was buried");
  if (failure) std::rethrow_exception(failure);
  if (worker_ != worker) co_return;  // what it claimed is queued again when it is buried
  for (Job& job : claimed)
    begin(std::move(job), Origin::queue);
}

Task<void> Runner::reconcile(std::vector<Outlook::Held> held) {
  for (const Outlook::Held& row : held) {
    const auto known = std::ranges::find_if(
        running_, [&](const Running& running) { return lease_of(running.job()) == row.lease; });
    if (known != running_.end()) {
      if (row.cancel_requested) cut(*known, Stop::cancel);
    } else if (!expected_.contains(row.lease.job)) {
      try {
        co_await database_.write(
            queue_scope(), [&](db::Connection& connection) { queue_.release_in(connection, row.lease); });
      } catch (const LeaseLost&) {  // it has ended since the look
      }
    }
  }
}

// ---- the lease

Task<WorkerId> Runner::ensure_worker() {
  if (worker_ && belief_.holds(clock_.steady_now())) co_return *worker_;
  const auto permit = co_await registering_.acquire(1, registration_patience);
  if (worker_ && belief_.holds(clock_.steady_now())) co_return *worker_;
  if (!permit) throw stopping();
  if (worker_) lose_all("the lease is over");
  const SteadyTime began = clock_.steady_now();
  const Worker worker{.id = WorkerId(ids_.make("worker_")),
                      .lease_time = settings_.lease_time,
                      .host = settings_.host,
                      .started_at = unix_millis(clock_)};
  co_await database_.write(queue_scope(),
                           [&](db::Connection& connection) { workers::register_in(connection, worker); });
  belief_.confirm(began);
  idle_beats_ = 0;
  worker_ = worker.id;
  co_return worker.id;
}

Task<void> Runner::beat() {
  if (!worker_) co_return;
  const WorkerId worker = *worker_;
  const bool is_idle = running_.empty() && claims_ == 0 && expected_.empty();
  idle_beats_ = is_idle ? idle_beats_ + 1 : 0;
  if (idle_beats_ >= idle_beats_to_leave) {
    worker_.reset();  // whoever claims from here on registers anew
    co_await database_.write(queue_scope(),
                             [&](db::Connection& connection) { workers::leave_in(connection, worker); });
    co_return;
  }
  const SteadyTime began = clock_.steady_now();
  const bool lives = co_await database_.write(
      queue_scope(), [&](db::Connection& connection) { return workers::beat_in(connection, worker); });
  if (worker_ != worker) co_return;
  if (lives) {
    belief_.confirm(began);
  } else {
    lose_all("the worker was buried");
  }
}

Task<void> Runner::watch() {
  const SteadyTime began = clock_.steady_now();
  const auto seen =
      co_await database_.read([](db::Connection& connection) { return workers::list_in(connection); });
  for (const Worker& dead : watch_.observe(seen, began, clock_.steady_now())) {
    if (dead.id == worker_) continue;  // this process: whether it lives, it decides itself
    const auto jobs = co_await database_.write(queue_scope(), [&](db::Connection& connection) {
      return workers::bury_in(connection, dead.id, dead.beat);
    });
    if (!jobs) continue;
    log::warn("jobs.worker_buried", {{"worker", dead.id.str()}, {"host", dead.host}, {"jobs", *jobs}});
    is_woken_ = true;
    poll_timer_.cancel();
  }
}

void Runner::lose_all(std::string_view reason) {
  log::warn("jobs.leases_lost", {{"worker", worker_ ? worker_->str() : ""}, {"reason", reason}});
  worker_.reset();
  for (Running& running : running_)
    cut(running, Stop::lost);
}

// ---- running

Task<JobId> Runner::run_here(NewJob job, AlsoWith also) {
  co_return co_await async::await_callback<JobId>(
      [this, job = std::move(job), also = std::move(also)](async::Resolver<JobId> done) mutable {
        boost::asio::post(executor_, [this, job = std::move(job), also = std::move(also),
                                      done = std::move(done)]() mutable {
          if (is_draining_) return done(std::unexpected(std::make_exception_ptr(stopping())));
          scope_.spawn("job here", make_here(std::move(job), std::move(also), std::move(done)));
        });
      });
}

Task<void> Runner::make_here(NewJob job, AlsoWith also, async::Resolver<JobId> done) {
  const JobId id = queue_.make_id();
  std::exception_ptr failure;
  expected_.insert(id);
  try {
    begin(co_await enqueue_here(job, also, id), Origin::here);
  } catch (...) {
    failure = std::current_exception();
  }
  expected_.erase(id);
  if (failure) {
    done(std::unexpected(failure));
  } else {
    done(id);
  }
}

Task<Job> Runner::enqueue_here(const NewJob& job, const AlsoWith& also, const JobId& id) {
  const WorkerId worker = co_await ensure_worker();
  db::WriteScope scope = queue_scope();
  if (job.organization) scope |= *job.organization;
  co_return co_await database_.write(scope, [&](db::Connection& connection) {
    Job made = queue_.enqueue_claimed_in(connection, job, id, worker);
    if (also) also(connection, id);
    return made;
  });
}

void Runner::begin(Job job, Origin origin) {
  const auto kind = std::ranges::find(kinds_, job.kind, &Kind::name);
  const auto entry =
      running_.emplace(running_.end(), Execution(std::move(job), database_), origin,
                       kind == kinds_.end() ? nullptr : &*kind, boost::asio::steady_timer(executor_));
  if (is_stopping_ || (is_draining_ && origin == Origin::queue)) cut(*entry, Stop::release);
  scope_.spawn("job", perform(entry));
}

void Runner::cut(Running& running, Stop stop) {
  if (running.stop == Stop::lost || (running.stop != Stop::none && stop != Stop::lost)) return;
  running.stop = stop;
  running.stopped.cancel();
}

Task<void> Runner::perform(Entry entry) {
  Running& running = *entry;
  const SteadyTime started = clock_.steady_now();
  log::info("job.started", {{"job", running.job().id.str()},
                            {"kind", running.job().kind},
                            {"request_id", request_of(running.job())},
                            {"attempt", running.job().attempts}});
  Result result = co_await attempt(running);
  const Ending ending = co_await end(running, result);
  constexpr std::array<std::string_view, 6> names{"succeeded", "failed",   "retried",
                                                  "cancelled", "released", "lost"};
  const auto took = std::chrono::duration<double, std::milli>(clock_.steady_now() - started).count();
  log::write(ending == Ending::fail ? log::Level::warn : log::Level::info, "job.ended",
             {{"job", running.job().id.str()},
              {"kind", running.job().kind},
              {"request_id", request_of(running.job())},
              {"outcome", names[static_cast<std::size_t>(ending)]},
              {"ms", took},
              {"error", result.error}});
  count(running.job().kind, ending);
  running_.erase(entry);
  is_woken_ = true;
  poll_timer_.cancel();
  if (is_stopping_) beat_timer_.cancel();
}

Task<void> Runner::wait_for_stop(Running& running) {
  if (running.stop != Stop::none) co_return;
  running.stopped.expires_at(boost::asio::steady_timer::time_point::max());
  co_await running.stopped.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

Runner::Result Runner::failure(const Running& running, Ending ending, std::string_view error) const {
  const Job& job = running.job();
  if (ending == Ending::retry && job.attempts >= job.max_attempts) ending = Ending::fail;
  return {.ending = ending, .error = std::string(error)};
}

Task<Runner::Result> Runner::attempt(Running& running) {
  const Job& job = running.job();
  if (job.cancel_requested) co_return Result{.ending = Ending::cancel};
  if (job.attempts > job.max_attempts)
    co_return failure(running, Ending::fail, job.error.value_or(std::string(died)));
  // A kind that nobody knows is claimed only to be cancelled; run_here() may name one all the same.
  if (running.kind == nullptr)
    co_return failure(running, Ending::fail, "this program does not know the kind");
  try {
    auto effect = co_await async::run_unless(running.kind->handler.get().run(running.execution),
                                             wait_for_stop(running));
    if (effect) co_return Result{.ending = Ending::succeed, .effect = std::move(*effect)};
  } catch (const CancelRequested&) {
    co_return Result{.ending = Ending::cancel};
  } catch (const LeaseLost&) {
    co_return Result{};
  } catch (const PermanentFailure& error) {
    co_return failure(running, Ending::fail, error.what());
  } catch (const ApiError& error) {
    co_return failure(running, is_final(error) ? Ending::fail : Ending::retry, error.message());
  } catch (const std::exception& error) {
    co_return failure(running, Ending::retry, error.what());
  }
  switch (running.stop) {
    case Stop::cancel:
      co_return Result{.ending = Ending::cancel};
    case Stop::release:
      co_return Result{.ending = Ending::release};
    default:
      co_return Result{};
  }
}

Task<Runner::Ending> Runner::end(Running& running, Result& result) {
  bool may_be_written = false;  // an answer was lost
  for (int tries = 1; result.ending != Ending::lost; ++tries) {
    std::string trouble;
    try {
      co_await database_.write(scope_of(running.job()),
                               [&](db::Connection& connection) { end_in(connection, running, result); });
      co_return result.ending;
    } catch (const LeaseLost&) {
      co_return may_be_written ? result.ending : Ending::lost;
    } catch (const CancelRequested&) {
      result = {.ending = Ending::cancel};
      continue;
    } catch (const ApiError& error) {
      if (is_storage_away(error)) {
        may_be_written = true;
        trouble = error.message();
      } else if (result.ending == Ending::succeed) {
        result = failure(running, is_final(error) ? Ending::fail : Ending::retry, error.message());
      } else {
        trouble = error.message();
      }
    } catch (const std::exception& error) {
      if (result.ending == Ending::succeed) {
        result = failure(running, Ending::retry, error.what());
      } else {
        trouble = error.what();
      }
    }
    if (trouble.empty()) continue;
    log::warn("job.not_ended",
              {{"job", running.job().id.str()}, {"kind", running.job().kind}, {"reason", trouble}});
    if (running.stop == Stop::lost || (is_stopping_ && tries >= most_tries_when_stopping)) break;
    co_await async::sleep_for(ending_pause);
  }
  co_return Ending::lost;
}

void Runner::end_in(db::Connection& connection, const Running& running, const Result& result) {
  const Job& job = running.job();
  const Lease lease = lease_of(job);
  const auto every = running.kind == nullptr ? std::nullopt : running.kind->every;
  switch (result.ending) {
    case Ending::succeed:
      if (every) {
        queue_.rearm_in(connection, lease, *every, std::nullopt);
      } else {
        queue_.succeed_in(connection, lease);
      }
      if (result.effect) result.effect(connection);
      return;
    case Ending::fail:
      if (every) return queue_.rearm_in(connection, lease, *every, result.error);
      queue_.fail_in(connection, lease, result.error);
      return tell_ended_in(connection, running, JobState::failed, result.error);
    case Ending::retry: {
      const RetryPolicy policy = running.kind == nullptr ? RetryPolicy() : running.kind->retry;
      return queue_.retry_in(connection, lease, result.error, policy.pause(job.id, job.attempts));
    }
    case Ending::cancel:
      if (every) return queue_.rearm_in(connection, lease, *every, std::nullopt);
      queue_.end_cancelled_in(connection, lease);
      return tell_ended_in(connection, running, JobState::cancelled, result.error);
    case Ending::release:
      return queue_.release_in(connection, lease);
    case Ending::lost:
      return;
  }
}

void Runner::tell_ended_in(db::Connection& connection, const Running& running, JobState state,
                           const std::string& error) {
  if (running.kind == nullptr) return;
  Job job = running.job();
  job.state = state;
  if (!error.empty()) job.error = error;
  running.kind->handler.get().ended_in(connection, job);
}

void Runner::count(const std::string& kind, Ending ending) {
  std::lock_guard lock(mutex_);
  RunnerCounts& counts = counts_[kind];
  switch (ending) {
    case Ending::succeed:
      ++counts.succeeded;
      break;
    case Ending::fail:
      ++counts.failed;
      break;
    case Ending::retry:
      ++counts.retried;
      break;
    case Ending::cancel:
      ++counts.cancelled;
      break;
    case Ending::release:
      ++counts.released;
      break;
    case Ending::lost:
      ++counts.lost;
      break;
  }
}

}  // namespace hearth::jobs
