#include "jobs/runner.hpp"

#include "base/api_error.hpp"
#include "jobs/test_room.hpp"

namespace hearth::jobs {
namespace {

using namespace std::chrono_literals;

// What a test wants a kind to do. The function lives as long as the runs that it makes.
class TestHandler final : public Handler {
 public:
  std::function<Task<Effect>(Execution&)> work;
  std::vector<JobState> endings;  // on the database's thread, read when the job has ended
  std::optional<std::string> reason;

  Task<Effect> run(Execution& execution) override { return work(execution); }
  void ended_in(db::Connection& connection, const Job& job) override {
    endings.push_back(job.state);
    reason = job.error;
    connection.execute("INSERT INTO effects (job) VALUES ($1)", {"ended " + job.id.str()});
  }
};

Effect note(const JobId& job) {
  return [job](db::Connection& c) { c.execute("INSERT INTO effects (job) VALUES ($1)", {job}); };
}

// Until it is cut.
Task<Effect> hang() {
  for (;;)
    co_await async::sleep_for(1h);
}

class JobRunner : public JobsTest {
 public:
  static inline const RunnerSettings settings{.lease_time = 10'000ms, .heartbeat = 20ms, .poll = 10ms};

  void SetUp() override {
    JobsTest::SetUp();
    if (IsSkipped()) return;
    place_.open()->connect(db::Access::write)->execute_script("CREATE TABLE effects (job TEXT NOT NULL)");
  }

  // Starts a runner of one kind, does `during`, and stops it.
  void with_runner(Task<void> (*during)(JobRunner&, Runner&), RunnerSettings chosen = settings) {
    Runner runner(runtime_.executor(0), *database_, clock_, ids_, {kind_}, chosen);
    run([](JobRunner& test, Runner& made, Task<void> (*work)(JobRunner&, Runner&)) -> Task<void> {
      made.start();
      co_await work(test, made);
      co_await made.stop();
    }(*this, runner, during));
  }

  Task<bool> becomes(JobId id, JobState state) {
    for (int i = 0; i < 1'500; ++i) {
      if ((co_await find(id)).state == state) co_return true;
      co_await async::sleep_for(10ms);
    }
    co_return false;
  }
  Task<Job> find(JobId id) {
    co_return co_await database_->read([&](db::Connection& c) { return queue_.find_in(c, id).value(); });
  }
  Task<std::int64_t> effects() {
    co_return co_await database_->read([](db::Connection& c) {
      return c.query("SELECT COUNT(*) FROM effects")[0].template get<std::int64_t>(0);
    });
  }
  Task<std::vector<Worker>> workers_now() {
    co_return co_await database_->read([](db::Connection& c) { return workers::list_in(c); });
  }
  Task<void> cancel(JobId id) {
    co_await database_->write(db::WriteScope::everyone(),
                              [&](db::Connection& c) { queue_.cancel_in(c, id); });
  }

  TestHandler handler_;
  Kind kind_{.name = "a", .handler = handler_, .concurrency = 2, .retry = {.first = 1s, .longest = 60s}};
  JobId job_;
  std::vector<JobId> jobs_;
  std::atomic<int> runs_{0};
  int now_ = 0, most_ = 0;
};

TEST_P(JobRunner, RunsAJobAndCommitsItsEffect) {
  handler_.work = [](Execution& execution) -> Task<Effect> { co_return note(execution.job().id); };
  job_ = enqueue({.kind = "a", .request = RequestId("req_1")});
  with_runner([](JobRunner& test, Runner& runner) -> Task<void> {
    EXPECT_TRUE(co_await test.becomes(test.job_, JobState::succeeded));
    EXPECT_EQ(co_await test.effects(), 1);
    EXPECT_EQ(runner.counts().at("a").succeeded, 1U);
  });
  EXPECT_TRUE(wait<std::vector<Worker>>(workers_now()).empty()) << "it has left";
}

TEST_P(JobRunner, TriesAgainAfterAPauseFromTheCursor) {
  handler_.work = [this](Execution& execution) -> Task<Effect> {
    if (++runs_ == 1) {
      co_await execution.save({json::value(41), {.done = 1, .total = 2, .text = "half"}});
      throw std::runtime_error("the first time fails");
    }
    EXPECT_EQ(execution.job().cursor, json::value(41));
    EXPECT_EQ(execution.job().attempts, 2);
    co_return note(execution.job().id);
  };
  job_ = enqueue({.kind = "a"});
  with_runner([](JobRunner& test, Runner& runner) -> Task<void> {
    EXPECT_TRUE(co_await eventually([&] { return runner.counts()["a"].retried == 1; }));
    const Job waiting = co_await test.find(test.job_);
    EXPECT_EQ(waiting.state, JobState::queued);
    EXPECT_EQ(waiting.error, "the first time fails");
    EXPECT_GT(waiting.run_at, unix_millis(test.clock_));
    test.clock_.advance(1s);
    EXPECT_TRUE(co_await test.becomes(test.job_, JobState::succeeded));
  });
}

TEST_P(JobRunner, FailsWhenAttemptsAreOverAndTellsTheKind) {
  handler_.work = [](Execution&) -> Task<Effect> { throw std::runtime_error("never works"); };
  job_ = enqueue({.kind = "a", .max_attempts = 2});
  with_runner([](JobRunner& test, Runner& runner) -> Task<void> {
    EXPECT_TRUE(co_await eventually([&] { return runner.counts()["a"].retried == 1; }));
    test.clock_.advance(2s);
    EXPECT_TRUE(co_await test.becomes(test.job_, JobState::failed));
    EXPECT_EQ((co_await test.find(test.job_)).error, "never works");
    EXPECT_EQ(co_await test.effects(), 1);
  });
  EXPECT_EQ(handler_.endings, std::vector{JobState::failed});
  EXPECT_EQ(handler_.reason, "never works");
}

TEST_P(JobRunner, FailsAtOnceWhatNoRepetitionMends) {
  handler_.work = [this](Execution&) -> Task<Effect> {
    if (++runs_ == 1) throw PermanentFailure("no such file");
    throw ApiError::not_found("No such model.");
  };
  jobs_ = {enqueue({.kind = "a"}), enqueue({.kind = "a"})};
  with_runner([](JobRunner& test, Runner&) -> Task<void> {
    for (const JobId& job : test.jobs_)
      EXPECT_TRUE(co_await test.becomes(job, JobState::failed));
  });
}

TEST_P(JobRunner, TriesAgainWhenTheEffectFails) {
  handler_.work = [this](Execution& execution) -> Task<Effect> {
    ++runs_;
    if (runs_ > 1) co_return note(execution.job().id);
    co_return [](db::Connection&) { throw std::runtime_error("the effect fails"); };
  };
  job_ = enqueue({.kind = "a"});
  with_runner([](JobRunner& test, Runner& runner) -> Task<void> {
    EXPECT_TRUE(co_await eventually([&] { return runner.counts()["a"].retried == 1; }));
    test.clock_.advance(1s);
    EXPECT_TRUE(co_await test.becomes(test.job_, JobState::succeeded));
    EXPECT_EQ(co_await test.effects(), 1);
  });
}

TEST_P(JobRunner, CutsARunningJobThatIsCancelled) {
  handler_.work = [this](Execution&) -> Task<Effect> {
    ++runs_;
    co_return co_await hang();
  };
  job_ = enqueue({.kind = "a"});
  with_runner([](JobRunner& test, Runner&) -> Task<void> {
    EXPECT_TRUE(co_await eventually([&] { return test.runs_ == 1; }));
    co_await test.cancel(test.job_);
    EXPECT_TRUE(co_await test.becomes(test.job_, JobState::cancelled));
    EXPECT_EQ(co_await test.effects(), 1);
  });
  EXPECT_EQ(handler_.endings, std::vector{JobState::cancelled});
}

TEST_P(JobRunner, EndsACancelledJobWithoutRunningIt) {
  handler_.work = [](Execution&) -> Task<Effect> {
    ADD_FAILURE() << "it runs";
    co_return Effect();
  };
  jobs_ = {enqueue({.kind = "a", .delay = 3600s}), enqueue({.kind = "of another program"})};
  for (const JobId& job : jobs_)
    run(cancel(job));
  with_runner([](JobRunner& test, Runner&) -> Task<void> {
    for (const JobId& job : test.jobs_)
      EXPECT_TRUE(co_await test.becomes(job, JobState::cancelled));
  });
}

TEST_P(JobRunner, GivesBackWhatItHoldsWhenItStops) {
  handler_.work = [this](Execution& execution) -> Task<Effect> {
    co_await execution.save({json::value(5), {}});
    ++runs_;
    co_return co_await hang();
  };
  job_ = enqueue({.kind = "a"});
  with_runner([](JobRunner& test, Runner&) -> Task<void> {
    EXPECT_TRUE(co_await eventually([&] { return test.runs_ == 1; }));
  });
  const Job job = get(job_);
  EXPECT_EQ(job.state, JobState::queued);
  EXPECT_EQ(job.attempts, 0) << "it does not count";
  EXPECT_EQ(job.cursor, json::value(5));
  EXPECT_LE(job.run_at, unix_millis(clock_));
  EXPECT_TRUE(wait<std::vector<Worker>>(workers_now()).empty());
}

TEST_P(JobRunner, TakesOverWhatADeadWorkerHeld) {
  handler_.work = [](Execution& execution) -> Task<Effect> { co_return note(execution.job().id); };
  job_ = enqueue({.kind = "a"});
  const WorkerId dead = add_worker("dead");
  write([&](db::Connection& c) { queue_.claim_in(c, dead, "a", 1); });
  with_runner([](JobRunner& test, Runner& runner) -> Task<void> {
    for (int i = 0; i < 20; ++i)
      co_await async::sleep_for(10ms);
    EXPECT_EQ((co_await test.find(test.job_)).state, JobState::running) << "its lease has not ended";
    int looks = 0;
    EXPECT_TRUE(co_await eventually([&] {
      if (looks++ % 50 == 0) test.clock_.advance(10s);  // it has seen the same beat meanwhile
      return runner.counts()["a"].succeeded == 1;
    }));
    EXPECT_EQ((co_await test.find(test.job_)).attempts, 2);
  });
}

TEST_P(JobRunner, GivesUpAJobThatEndsItsWorkers) {
  handler_.work = [](Execution&) -> Task<Effect> {
    ADD_FAILURE() << "it runs once too often";
    co_return Effect();
  };
  job_ = enqueue({.kind = "a", .max_attempts = 1});
  const WorkerId dead = add_worker("dead");
  write([&](db::Connection& c) {
    queue_.claim_in(c, dead, "a", 1);
    workers::bury_in(c, dead, 0);
  });
  with_runner([](JobRunner& test, Runner&) -> Task<void> {
    EXPECT_TRUE(co_await test.becomes(test.job_, JobState::failed));
  });
  EXPECT_EQ(handler_.endings, std::vector{JobState::failed});
}

TEST_P(JobRunner, CutsEverythingWhenItWasBuried) {
  handler_.work = [this](Execution& execution) -> Task<Effect> {
    if (++runs_ > 1) co_return note(execution.job().id);
    co_return co_await hang();
  };
  job_ = enqueue({.kind = "a"});
  with_runner([](JobRunner& test, Runner& runner) -> Task<void> {
    EXPECT_TRUE(co_await eventually([&] { return test.runs_ == 1; }));
    co_await test.database_->write(db::WriteScope::everyone(), [](db::Connection& c) {
      for (const Worker& worker : workers::list_in(c))
        EXPECT_TRUE(workers::bury_in(c, worker.id, worker.beat));
    });
    EXPECT_TRUE(co_await test.becomes(test.job_, JobState::succeeded));
    EXPECT_EQ(runner.counts()["a"].lost, 1U);
    EXPECT_EQ(co_await test.effects(), 1);
  });
}

TEST_P(JobRunner, BelievesNoLongerThanItsLease) {
  handler_.work = [this](Execution&) -> Task<Effect> {
    ++runs_;
    co_return co_await hang();
  };
  job_ = enqueue({.kind = "a"});
  RunnerSettings without_beats = settings;
  without_beats.heartbeat = 3600s;
  with_runner(
      [](JobRunner& test, Runner& runner) -> Task<void> {
        EXPECT_TRUE(co_await eventually([&] { return test.runs_ == 1; }));
        test.clock_.advance(9'000ms);
        EXPECT_TRUE(co_await eventually([&] { return runner.counts()["a"].lost == 1; }));
      },
      without_beats);
}

TEST_P(JobRunner, GivesBackAClaimWhoseAnswerWasLost) {
  handler_.work = [this](Execution& execution) -> Task<Effect> {
    if (++runs_ == 1) co_return co_await hang();
    co_return note(execution.job().id);
  };
  job_ = enqueue({.kind = "a"});
  with_runner([](JobRunner& test, Runner&) -> Task<void> {
    EXPECT_TRUE(co_await eventually([&] { return test.runs_ == 1; }));
    // A job that belongs to this worker, of which the runner has never heard.
    const JobId other = test.queue_.make_id();
    co_await test.database_->write(db::WriteScope::everyone(), [&](db::Connection& c) {
      test.queue_.enqueue_claimed_in(c, {.kind = "a"}, other, workers::list_in(c).at(0).id);
    });
    EXPECT_TRUE(co_await test.becomes(other, JobState::succeeded));
  });
}

TEST_P(JobRunner, RunsNoMoreOfAKindThanItMay) {
  handler_.work = [this](Execution&) -> Task<Effect> {
    most_ = std::max(most_, ++now_);
    co_await async::sleep_for(5ms);
    --now_;
    ++runs_;
    co_return Effect();
  };
  for (int i = 0; i < 12; ++i)
    enqueue({.kind = "a"});
  with_runner([](JobRunner& test, Runner&) -> Task<void> {
    EXPECT_TRUE(co_await eventually([&] { return test.runs_ == 12; }));
  });
  EXPECT_EQ(most_, 2);
}

TEST_P(JobRunner, RunsHereWhatItsClientWaitsFor) {
  handler_.work = [](Execution& execution) -> Task<Effect> { co_return note(execution.job().id); };
  RunnerSettings without_places = settings;
  without_places.places = 0;
  job_ = enqueue({.kind = "a"});
  with_runner(
      [](JobRunner& test, Runner& runner) -> Task<void> {
        const JobId here = co_await runner.run_here({.kind = "a"}, [](db::Connection& c, const JobId& id) {
          c.execute("INSERT INTO effects (job) VALUES ($1)", {"with " + id.str()});
        });
        EXPECT_TRUE(co_await test.becomes(here, JobState::succeeded));
        EXPECT_EQ(co_await test.effects(), 2);
        EXPECT_EQ((co_await test.find(test.job_)).state, JobState::queued) << "there are no places";
        // What is written with it fails: there is no job.
        bool refused = false;
        try {
          co_await runner.run_here({.kind = "a"}, [](db::Connection&, const JobId&) {
            throw ApiError::invalid_request("x", "no");
          });
        } catch (const ApiError&) {
          refused = true;
        }
        EXPECT_TRUE(refused);
        runner.drain();
        refused = false;
        try {
          co_await runner.run_here({.kind = "a"});
        } catch (const ApiError& error) {
          refused = error.status() == 503;
        }
        EXPECT_TRUE(refused);
      },
      without_places);
  EXPECT_EQ(write([&](db::Connection& c) { return queue_.list_in(c, {}); }).size(), 2U);
}

TEST_P(JobRunner, KeepsOnePeriodicJobThatRunsAgainWhateverHappens) {
  handler_.work = [this](Execution& execution) -> Task<Effect> {
    switch (++runs_) {
      case 1:
        co_return note(execution.job().id);
      case 2:
        throw PermanentFailure("bad luck");
      default:
        co_return co_await hang();
    }
  };
  kind_.every = 3600s;
  Runner other(runtime_.executor(0), *database_, clock_, ids_, {kind_}, settings);
  run([](Runner& runner) -> Task<void> { co_await runner.stop(); }(other));  // never started
  for (int start = 0; start < 2; ++start) {
    with_runner([](JobRunner& test, Runner& runner) -> Task<void> {
      const bool first = test.runs_ == 0;
      EXPECT_TRUE(co_await eventually([&] { return test.runs_ == 1; }));
      if (first) co_return;
      test.clock_.advance(3600s);
      EXPECT_TRUE(co_await eventually([&] { return runner.counts()["a"].failed == 1; }));
      test.clock_.advance(3600s);
      EXPECT_TRUE(co_await eventually([&] { return test.runs_ == 3; }));
      const auto all =
          co_await test.database_->read([&](db::Connection& c) { return test.queue_.list_in(c, {}); });
      EXPECT_EQ(all.size(), 1U);
      co_await test.cancel(all.at(0).id);
      EXPECT_TRUE(co_await eventually([&] { return runner.counts()["a"].cancelled == 1; }));
      const Job job = co_await test.find(all.at(0).id);
      EXPECT_EQ(job.state, JobState::queued);
      EXPECT_EQ(job.run_at, unix_millis(test.clock_) + 3'600'000);
      EXPECT_FALSE(job.cancel_requested);
    });
  }
  EXPECT_TRUE(handler_.endings.empty());
}

TEST_P(JobRunner, LeavesWhenItHoldsNothingAnyMore) {
  handler_.work = [](Execution&) -> Task<Effect> { co_return Effect(); };
  job_ = enqueue({.kind = "a"});
  with_runner([](JobRunner& test, Runner&) -> Task<void> {
    EXPECT_TRUE(co_await test.becomes(test.job_, JobState::succeeded));
    bool left = false;
    for (int i = 0; i < 1'500 && !left; ++i) {
      co_await async::sleep_for(10ms);
      left = (co_await test.workers_now()).empty();
    }
    EXPECT_TRUE(left);
    const auto commits = test.database_->counters().commits;
    for (int i = 0; i < 20; ++i)
      co_await async::sleep_for(10ms);
    EXPECT_EQ(test.database_->counters().commits, commits) << "an idle runner writes nothing";
  });
}

INSTANTIATE_TEST_SUITE_P(Engines, JobRunner, testing::ValuesIn(db::engines), engine_name);

}  // namespace
}  // namespace hearth::jobs
