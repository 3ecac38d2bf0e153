// Random histories of workers that claim, work, stall, die and lose their database, on both engines: what
// must hold whatever happens. Each is decided by its seed alone; a failure names it.
//
// HEARTH_JOB_HISTORIES says how many (./dev soak jobs runs thousands), HEARTH_JOB_SEED where they begin.
#include <cstdlib>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "jobs/queue.hpp"
#include "jobs/test_schema.hpp"
#include "jobs/workers.hpp"

namespace hearth::jobs {
namespace {

using namespace std::chrono_literals;

constexpr auto lease_time = 10'000ms;
constexpr int steps = 80;
constexpr int usual_histories = 100;

int number_from(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

class CountingIds final : public IdSource {
 public:
  using IdSource::IdSource;
  std::string make(std::string_view prefix) override { return fmt::format("{}{:05}", prefix, ++count_); }

 private:
  int count_ = 0;
};

// The database was away: the write is lost, or only its answer.
struct Away : std::exception {};

// What the history knows to be committed.
struct Fact {
  bool cancel_promised = false;
  int saved = 0;  // the largest cursor
};

// How a worker wants to end a job; kept until it knows that it has.
enum class Wish { none, succeed, fail, retry, release };

struct Held {
  Job job;
  Wish wish = Wish::none;
};

// A process, as the Runner behaves: the same statements and the same decisions, one step at a time.
struct Process {
  FakeClock clock;
  Queue queue;
  double speed;
  std::optional<WorkerId> worker;
  Belief belief{lease_time};
  WorkerWatch watch;
  std::vector<Held> held;

  Process(std::chrono::system_clock::time_point start, double clock_speed, IdSource& ids)
      : clock(start), queue(clock, ids), speed(clock_speed) {}
  void lose_all() {
    held.clear();
    worker.reset();
  }
};

class History {
 public:
  History(db::Session& session, std::uint64_t seed) : session_(session), random_(seed) {
    for (int i = 0; i < 3; ++i)
      add_process();
  }

  void run() {
    session_.begin();
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      step();
      check_beliefs();
    }
    drain();
    check_ends();
    session_.rollback();
  }
  std::size_t jobs() const { return facts_.size(); }

 private:
  // ---- chance

  int roll(int sides) { return std::uniform_int_distribution(0, sides - 1)(random_); }
  Process& any_process() {
    return *processes_[static_cast<std::size_t>(roll(static_cast<int>(processes_.size())))];
  }
  Held* any_held(Process& process) {
    if (process.held.empty()) return nullptr;
    return &process.held[static_cast<std::size_t>(roll(static_cast<int>(process.held.size())))];
  }

  // ---- the database, with its failures

  // As Database::write: what the work throws undoes the work.
  template <class Work>
  auto write(Work work) {
    const int fate = failing_ ? roll(24) : 24;
    session_.set_savepoint();
    try {
      if constexpr (std::is_void_v<decltype(work(session_))>) {
        work(session_);
        settle(fate);
      } else {
        auto result = work(session_);
        settle(fate);
        return result;
      }
    } catch (const Committed&) {
      throw Away();
    } catch (...) {
      session_.rollback_to_savepoint();
      throw;
    }
  }
  struct Committed {};
  void settle(int fate) {
    if (fate == 0) throw Away();  // before the commit
    session_.release_savepoint();
    if (fate == 1) throw Committed();  // after it
  }

  // ---- steps

  void add_process() {
    // Their walls' clocks differ by up to an hour, and the speeds of their clocks by a few hundredths.
    const auto start =
        std::chrono::sys_days{std::chrono::year{2025} / 4 / 29} + std::chrono::seconds(roll(3600));
    processes_.push_back(std::make_unique<Process>(start, 0.97 + roll(7) / 100.0, ids_));
    processes_.back()->clock.advance(std::chrono::milliseconds(roll(100'000)));
  }

  void step() {
    try {
      Process& process = any_process();
      switch (roll(16)) {
        case 0:
        case 1:
          return enqueue(process);
        case 2:
          return enqueue_here(process);
        case 3:
        case 4:
          return claim(process);
        case 5:
        case 6:
          return beat(process);
        case 7:
        case 8:
          return bury(process);
        case 9:
          return save(process);
        case 10:
        case 11:
          return decide(process);
        case 12:
          return cancel(process);
        case 13:
          return pass_time(std::chrono::milliseconds(roll(7'000)));
        case 14:
          return end_process();
        default:
          return reconcile(process);
      }
    } catch (const Away&) {
    }
  }

  NewJob new_job() {
    NewJob job{.kind = roll(2) == 0 ? "a" : "b", .priority = roll(3), .max_attempts = 1 + roll(3)};
    if (roll(3) == 0) job.delay = std::chrono::milliseconds(roll(20'000));
    if (roll(6) == 0) job.unique_key = "one";
    return job;
  }

  void enqueue(Process& process) {
    const auto id =
        write([&, job = new_job()](db::Connection& c) { return process.queue.enqueue_in(c, job); });
    if (id) facts_[*id];
  }

  // Nothing is claimed by a process that doubts, and the first claim registers.
  bool is_ready(Process& process) {
    return !process.worker || process.belief.holds(process.clock.steady_now());
  }
  void register_in(Process& process, db::Connection& c) {
    if (!process.worker)
      workers::register_in(c, {.id = fresh_, .lease_time = lease_time, .host = "test", .started_at = 1});
  }
  WorkerId worker_for_claim(Process& process) {
    if (!process.worker) fresh_ = WorkerId(ids_.make("worker_"));
    return process.worker.value_or(fresh_);
  }
  void registered(Process& process, const WorkerId& worker, SteadyTime began) {
    if (!process.worker) process.belief.confirm(began);
    process.worker = worker;
  }

  void enqueue_here(Process& process) {
    if (!is_ready(process)) return;
    const SteadyTime began = process.clock.steady_now();
    const WorkerId worker = worker_for_claim(process);
    const JobId id = process.queue.make_id();
    try {
      Job job = write([&, wanted = new_job()](db::Connection& c) {
        register_in(process, c);
        return process.queue.enqueue_claimed_in(c, wanted, id, worker);
      });
      registered(process, worker, began);
      facts_[id];
      process.held.push_back({std::move(job)});
    } catch (const db::Error& error) {  // buried, or the key is taken
      ASSERT_EQ(error.kind(), db::ErrorKind::constraint);
    }
  }

  void claim(Process& process) {
    if (!is_ready(process)) return;
    const SteadyTime began = process.clock.steady_now();
    const WorkerId worker = worker_for_claim(process);
    try {
      auto claimed = write([&](db::Connection& c) {
        register_in(process, c);
        auto jobs = process.queue.claim_cancelled_in(c, worker, 2);
        for (const char* kind : {"a", "b"}) {
          for (Job& job : process.queue.claim_in(c, worker, kind, 1))
            jobs.push_back(std::move(job));
        }
        return jobs;
      });
      registered(process, worker, began);
      for (Job& job : claimed)
        begin(process, std::move(job));
    } catch (const db::Error& error) {
      ASSERT_EQ(error.kind(), db::ErrorKind::constraint);
      process.lose_all();
    }
  }

  void begin(Process& process, Job job) {
    facts_[job.id];  // an enqueue whose answer was lost
    const int cursor = job.cursor ? static_cast<int>(job.cursor->as_int64()) : 0;
    EXPECT_GE(cursor, facts_[job.id].saved) << "what was saved is lost: " << job.id.str();
    const bool is_over = job.attempts > job.max_attempts;
    process.held.push_back({std::move(job), is_over ? Wish::fail : Wish::none});
  }

  void beat(Process& process) {
    if (!process.worker) return;
    const SteadyTime began = process.clock.steady_now();
    if (write([&](db::Connection& c) { return workers::beat_in(c, *process.worker); })) {
      process.belief.confirm(began);
    } else {
      process.lose_all();
    }
  }

  void bury(Process& process) {
    const SteadyTime now = process.clock.steady_now();
    for (const Worker& dead : process.watch.observe(workers::list_in(session_), now, now)) {
      if (dead.id == process.worker) continue;
      write([&](db::Connection& c) { return workers::bury_in(c, dead.id, dead.beat); });
    }
  }

  void save(Process& process) {
    Held* held = any_held(process);
    if (held == nullptr || held->wish != Wish::none) return;
    const int next = held->job.cursor ? static_cast<int>(held->job.cursor->as_int64()) + 1 : 1;
    const JobId id = held->job.id;
    try {
      write([&](db::Connection& c) {
        process.queue.save_in(c, lease_of(held->job), json::value(next), {next, 0, ""});
        check_holder(c, process, lease_of(held->job));
      });
      held->job.cursor = json::value(next);
      facts_[id].saved = std::max(facts_[id].saved, next);
    } catch (const LeaseLost&) {
      std::erase_if(process.held, [&](const Held& each) { return each.job.id == id; });
    } catch (const CancelRequested&) {
      held->job.cancel_requested = true;
    }
  }

  // Ends a job, or goes on trying to: the wish stays until its outcome is known.
  void decide(Process& process) {
    Held* held = any_held(process);
    if (held == nullptr) return;
    if (held->wish == Wish::none) {
      constexpr std::array wishes{Wish::succeed, Wish::succeed, Wish::fail,
                                  Wish::retry,   Wish::retry,   Wish::release};
      held->wish = wishes[static_cast<std::size_t>(roll(wishes.size()))];
      if (held->wish == Wish::retry && held->job.attempts >= held->job.max_attempts) held->wish = Wish::fail;
    }
    end(process, *held);
  }

  void end(Process& process, Held& held) {
    const Lease lease = lease_of(held.job);
    try {
      write([&](db::Connection& c) {
        end_in(c, process, held);
        check_holder(c, process, lease);
      });
    } catch (const LeaseLost&) {  // or it was this process's own write whose answer was lost
    } catch (const CancelRequested&) {
      held.job.cancel_requested = true;
      return;
    }
    std::erase_if(process.held, [&](const Held& each) { return each.job.id == lease.job; });
  }
  static void end_in(db::Connection& c, Process& process, const Held& held) {
    const Lease lease = lease_of(held.job);
    if (held.job.cancel_requested && held.wish != Wish::release) {
      process.queue.end_cancelled_in(c, lease);
      return note_end(c, lease.job, JobState::cancelled);
    }
    switch (held.wish) {
      case Wish::fail:
        process.queue.fail_in(c, lease, "broken");
        return note_end(c, lease.job, JobState::failed);
      case Wish::retry:
        return process.queue.retry_in(c, lease, "try again", 1s);
      case Wish::release:
        return process.queue.release_in(c, lease);
      default:
        process.queue.succeed_in(c, lease);
        c.execute("INSERT INTO effects (job) VALUES ($1)", {lease.job});
        return note_end(c, lease.job, JobState::succeeded);
    }
  }
  // What has just been changed was changed by the last who claimed it.
  static void check_holder(db::Connection& c, Process& process, const Lease& lease) {
    EXPECT_EQ(process.queue.find_in(c, lease.job)->lease, lease.number)
        << lease.job.str() << " is changed by who had lost it";
  }
  static void note_end(db::Connection& c, const JobId& job, JobState state) {
    c.execute("INSERT INTO endings (job, state) VALUES ($1, $2)", {job, state_name(state)});
  }

  void cancel(Process& process) {
    if (facts_.empty()) return;
    const auto chosen = std::next(facts_.begin(), roll(static_cast<int>(facts_.size())));
    const auto before = process.queue.find_in(session_, chosen->first);
    const CancelOutcome outcome =
        write([&](db::Connection& c) { return process.queue.cancel_in(c, chosen->first); });
    const bool had_ended = before->ended_at.has_value();
    EXPECT_EQ(outcome, had_ended ? CancelOutcome::already_ended : CancelOutcome::requested);
    if (!had_ended) chosen->second.cancel_promised = true;
  }

  void pass_time(std::chrono::milliseconds real) {
    for (const auto& process : processes_)
      process->clock.advance(
          std::chrono::milliseconds(static_cast<int>(static_cast<double>(real.count()) * process->speed)));
  }

  // One dies with all that it knows, or leaves in order; another comes.
  void end_process() {
    const auto chosen = static_cast<std::size_t>(roll(static_cast<int>(processes_.size())));
    Process& process = *processes_[chosen];
    if (const auto worker = process.worker; roll(2) == 0 && worker) {
      process.lose_all();
      write([&](db::Connection& c) { workers::leave_in(c, *worker); });
    }
    processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(chosen));
    add_process();
  }

  // What the database says that the process runs, and the process does not know: a claim whose answer was
  // lost.
  void reconcile(Process& process) {
    if (!process.worker) return;
    for (const Outlook::Held& row : process.queue.look_in(session_, {"a", "b"}, process.worker).held) {
      const auto known = std::ranges::find_if(
          process.held, [&](const Held& held) { return lease_of(held.job) == row.lease; });
      if (known == process.held.end()) {
        write([&](db::Connection& c) { process.queue.release_in(c, row.lease); });
      } else if (row.cancel_requested) {
        known->job.cancel_requested = true;
      }
    }
  }

  // ---- what must hold

  void check_beliefs() {
    std::map<JobId, int> believers;
    for (const auto& process : processes_) {
      if (!process->belief.holds(process->clock.steady_now())) continue;
      for (const Held& held : process->held) {
        // One that has ended it, and lost the answer, does nothing more with it but ask.
        if (held.wish == Wish::none)
          EXPECT_LE(++believers[held.job.id], 1) << held.job.id.str() << " runs twice";
      }
    }
  }

  // Everybody dies; one that comes after them must bring every job to an end.
  void drain() {
    failing_ = false;
    processes_.clear();
    add_process();
    Process& last = *processes_.front();
    last.clock.advance(2h);
    for (int round = 0; round < 400; ++round) {
      bury(last);
      beat(last);
      claim(last);
      while (!last.held.empty()) {
        Held& held = last.held.front();
        if (held.wish == Wish::none) held.wish = Wish::succeed;
        end(last, held);
      }
      if (session_.query("SELECT id FROM jobs WHERE ended_at IS NULL LIMIT 1").empty()) return;
      last.clock.advance(3s);
    }
  }

  void check_ends() {
    const auto count = [&](std::string_view sql, const JobId& job) {
      return session_.query(sql, {job})[0].get<std::int64_t>(0);
    };
    Process& last = *processes_.front();
    for (const auto& [id, fact] : facts_) {
      const auto job = last.queue.find_in(session_, id);
      ASSERT_TRUE(job) << id.str() << " is lost";
      ASSERT_TRUE(job->ended_at) << id.str() << " does not end: " << state_name(job->state);
      EXPECT_EQ(count("SELECT COUNT(*) FROM endings WHERE job = $1", id), 1) << id.str();
      EXPECT_EQ(count("SELECT COUNT(*) FROM effects WHERE job = $1", id),
                job->state == JobState::succeeded ? 1 : 0)
          << id.str();
      EXPECT_EQ(session_.query("SELECT state FROM endings WHERE job = $1", {id})[0].get<std::string>(0),
                state_name(job->state))
          << id.str();
      if (fact.cancel_promised) EXPECT_EQ(job->state, JobState::cancelled) << id.str();
      EXPECT_FALSE(job->worker) << id.str();
    }
  }

  db::Session& session_;
  std::mt19937_64 random_;
  FakeClock clock_;
  CountingIds ids_{clock_};
  WorkerId fresh_;
  bool failing_ = true;
  std::map<JobId, Fact> facts_;
  std::vector<std::unique_ptr<Process>> processes_;
};

class JobHistories : public testing::TestWithParam<db::Engine> {
 protected:
  void SetUp() override { HEARTH_SKIP_WITHOUT(GetParam()); }
  db::TestDatabase place_{GetParam()};
};

TEST_P(JobHistories, LoseNoJobAndEndNoneTwice) {
  const auto driver = place_.open();
  make_tables(*driver);
  const auto session = driver->connect(db::Access::write);
  session->execute_script(
      "CREATE TABLE effects (job TEXT NOT NULL); CREATE TABLE endings (job TEXT NOT NULL, state TEXT NOT "
      "NULL)");
  const int histories = number_from("HEARTH_JOB_HISTORIES", usual_histories);
  const int first = number_from("HEARTH_JOB_SEED", 1);
  std::size_t jobs = 0;
  for (int seed = first; seed < first + histories; ++seed) {
    SCOPED_TRACE(fmt::format("HEARTH_JOB_SEED={}", seed));
    History history(*session, static_cast<std::uint64_t>(seed));
    history.run();
    jobs += history.jobs();
    if (HasFailure()) return;
  }
  RecordProperty("jobs", static_cast<int>(jobs));
  EXPECT_GT(jobs, static_cast<std::size_t>(histories));
}

INSTANTIATE_TEST_SUITE_P(Engines, JobHistories, testing::ValuesIn(db::engines),
                         [](const auto& info) { return std::string(db::name_of(info.param)); });

}  // namespace
}  // namespace hearth::jobs
