#include <atomic>
#include <thread>

#include "jobs/test_room.hpp"

namespace hearth::jobs {
namespace {

using namespace std::chrono_literals;

class JobQueue : public JobsTest {};

TEST_P(JobQueue, KeepsWhatWasAskedFor) {
  const JobId id = enqueue({.kind = "a",
                            .input = {{"file", "x"}},
                            .organization = OrganizationId("org-1"),
                            .project = ProjectId("proj_1"),
                            .request = RequestId("req_1"),
                            .priority = 3,
                            .max_attempts = 2,
                            .delay = 1500ms});
  const Job job = get(id);
  EXPECT_TRUE(id.str().starts_with("job_"));
  EXPECT_EQ(job.input, (json::value{{"file", "x"}}));
  EXPECT_EQ(job.organization, OrganizationId("org-1"));
  EXPECT_EQ(job.project, ProjectId("proj_1"));
  EXPECT_EQ(job.request, RequestId("req_1"));
  EXPECT_EQ(job.priority, 3);
  EXPECT_EQ(job.max_attempts, 2);
  EXPECT_EQ(job.state, JobState::queued);
  EXPECT_EQ(job.run_at, unix_millis(clock_) + 1500);
  EXPECT_EQ(job.created_at, unix_millis(clock_));
  EXPECT_FALSE(job.worker || job.cursor || job.error || job.started_at || job.ended_at);
}

TEST_P(JobQueue, ClaimsByPriorityThenTimeAndNothingEarly) {
  const JobId low = enqueue({.kind = "a"});
  clock_.advance(1ms);
  const JobId high = enqueue({.kind = "a", .priority = 1});
  const JobId later = enqueue({.kind = "a", .priority = 9, .delay = 60s});
  enqueue({.kind = "b"});
  const WorkerId worker = add_worker("1");
  const auto claim = [&](std::size_t limit) {
    return write([&](db::Connection& c) { return queue_.claim_in(c, worker, "a", limit); });
  };
  const auto first = claim(5);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].id, high);
  EXPECT_EQ(first[1].id, low);
  EXPECT_EQ(first[0].state, JobState::running);
  EXPECT_EQ(first[0].worker, worker);
  EXPECT_EQ(first[0].attempts, 1);
  EXPECT_TRUE(claim(5).empty());
  clock_.advance(60s);
  const auto second = claim(5);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].id, later);
}

TEST_P(JobQueue, TakesAnEarlierHoldersNumberForNothing) {
  const JobId id = enqueue({.kind = "a"});
  const WorkerId worker = add_worker("1");
  const auto claim = [&] {
    return write([&](db::Connection& c) { return queue_.claim_in(c, worker, "a", 1).at(0); });
  };
  const Lease first = lease_of(claim());
  write([&](db::Connection& c) { queue_.release_in(c, first); });
  const Job again = claim();
  EXPECT_EQ(again.attempts, 1) << "a release does not count";
  const Lease second = lease_of(again);
  EXPECT_NE(first, second);
  const auto refuses = [&](auto step) {
    EXPECT_THROW(write([&](db::Connection& c) { step(c); }), LeaseLost);
  };
  refuses([&](db::Connection& c) { Queue::hold_in(c, first); });
  refuses([&](db::Connection& c) { Queue::save_in(c, first, json::value(1), {}); });
  refuses([&](db::Connection& c) { queue_.succeed_in(c, first); });
  refuses([&](db::Connection& c) { queue_.fail_in(c, first, "x"); });
  refuses([&](db::Connection& c) { queue_.retry_in(c, first, "x", 1s); });
  refuses([&](db::Connection& c) { queue_.release_in(c, first); });
  refuses([&](db::Connection& c) { queue_.rearm_in(c, first, 1s, std::nullopt); });
  refuses([&](db::Connection& c) { queue_.end_cancelled_in(c, first); });
  write([&](db::Connection& c) { queue_.succeed_in(c, second); });
  EXPECT_EQ(get(id).state, JobState::succeeded);
  refuses([&](db::Connection& c) { queue_.succeed_in(c, second); });
}

TEST_P(JobQueue, CommitsTheEffectWithTheEndOrNeither) {
  const JobId id = enqueue({.kind = "a"});
  const WorkerId worker = add_worker("1");
  const Job job = write([&](db::Connection& c) { return queue_.claim_in(c, worker, "a", 1).at(0); });
  EXPECT_THROW(write([&](db::Connection& c) {
                 queue_.succeed_in(c, lease_of(job));
                 throw std::runtime_error("the effect fails");
               }),
               std::runtime_error);
  EXPECT_EQ(get(id).state, JobState::running);
}

TEST_P(JobQueue, CancelWinsOverEveryOtherEnd) {
  const JobId id = enqueue({.kind = "a"});
  const WorkerId worker = add_worker("1");
  const auto cancel = [&] { return write([&](db::Connection& c) { return queue_.cancel_in(c, id); }); };
  const Lease lease =
      lease_of(write([&](db::Connection& c) { return queue_.claim_in(c, worker, "a", 1).at(0); }));
  EXPECT_EQ(cancel(), CancelOutcome::requested);
  const auto refuses = [&](auto step) {
    EXPECT_THROW(write([&](db::Connection& c) { step(c); }), CancelRequested);
  };
  refuses([&](db::Connection& c) { Queue::save_in(c, lease, json::value(1), {}); });
  refuses([&](db::Connection& c) { queue_.succeed_in(c, lease); });
  refuses([&](db::Connection& c) { queue_.fail_in(c, lease, "x"); });
  refuses([&](db::Connection& c) { queue_.retry_in(c, lease, "x", 1s); });
  write([&](db::Connection& c) { queue_.end_cancelled_in(c, lease); });
  EXPECT_EQ(get(id).state, JobState::cancelled);
  EXPECT_EQ(cancel(), CancelOutcome::already_ended);
  EXPECT_EQ(write([&](db::Connection& c) { return queue_.cancel_in(c, JobId("job_none")); }),
            CancelOutcome::unknown_job);
}

TEST_P(JobQueue, HandsOutAQueuedJobToEndItWhateverItsTimeAndKind) {
  const JobId id = enqueue({.kind = "nobody knows", .delay = 3600s});
  const WorkerId worker = add_worker("1");
  write([&](db::Connection& c) { queue_.cancel_in(c, id); });
  EXPECT_TRUE(write([&](db::Connection& c) { return queue_.look_in(c, {}, worker); }).has_cancelled);
  const auto claimed = write([&](db::Connection& c) { return queue_.claim_cancelled_in(c, worker, 9); });
  ASSERT_EQ(claimed.size(), 1U);
  EXPECT_TRUE(claimed[0].cancel_requested);
}

TEST_P(JobQueue, LetsOneJobBearAKeyUntilItEnds) {
  const NewJob job{.kind = "a", .unique_key = "k"};
  enqueue(job);
  const auto again = [&] { return write([&](db::Connection& c) { return queue_.enqueue_in(c, job); }); };
  EXPECT_FALSE(again());
  const WorkerId worker = add_worker("1");
  const Lease lease =
      lease_of(write([&](db::Connection& c) { return queue_.claim_in(c, worker, "a", 1).at(0); }));
  EXPECT_FALSE(again());
  write([&](db::Connection& c) { queue_.succeed_in(c, lease); });
  EXPECT_TRUE(again());
}

TEST_P(JobQueue, RearmsWithoutAMemoryOfTheLastRun) {
  const JobId id = enqueue({.kind = "a", .unique_key = "k"});
  const WorkerId worker = add_worker("1");
  const Lease lease =
      lease_of(write([&](db::Connection& c) { return queue_.claim_in(c, worker, "a", 1).at(0); }));
  write([&](db::Connection& c) {
    Queue::save_in(c, lease, json::value(7), {.done = 7});
    queue_.rearm_in(c, lease, 10s, "it was bad");
  });
  const Job job = get(id);
  EXPECT_EQ(job.state, JobState::queued);
  EXPECT_EQ(job.run_at, unix_millis(clock_) + 10'000);
  EXPECT_EQ(job.attempts, 0);
  EXPECT_FALSE(job.cursor);
  EXPECT_EQ(job.error, "it was bad");
  EXPECT_EQ(job.unique_key, "k");
}

TEST_P(JobQueue, RestartsWhatFailedFromItsCursor) {
  const JobId id = enqueue({.kind = "a", .max_attempts = 1});
  const WorkerId worker = add_worker("1");
  const Lease lease =
      lease_of(write([&](db::Connection& c) { return queue_.claim_in(c, worker, "a", 1).at(0); }));
  const auto restart = [&] { return write([&](db::Connection& c) { return queue_.restart_in(c, id); }); };
  EXPECT_EQ(restart(), RestartOutcome::not_ended);
  write([&](db::Connection& c) {
    Queue::save_in(c, lease, json::value(7), {.done = 7, .total = 9, .text = "seven"});
    queue_.fail_in(c, lease, "bad");
  });
  EXPECT_EQ(restart(), RestartOutcome::queued);
  const Job job = write([&](db::Connection& c) { return queue_.claim_in(c, worker, "a", 1).at(0); });
  EXPECT_EQ(job.attempts, 1);
  EXPECT_EQ(job.cursor, json::value(7));
  EXPECT_EQ(job.progress, (Progress{7, 9, "seven"}));
  EXPECT_EQ(job.error, "bad");
  EXPECT_EQ(write([&](db::Connection& c) { return queue_.restart_in(c, JobId("job_none")); }),
            RestartOutcome::unknown_job);
}

TEST_P(JobQueue, QueuesAgainWhatADeadWorkerHeld) {
  const JobId id = enqueue({.kind = "a"});
  const WorkerId dead = add_worker("dead");
  const WorkerId other = add_worker("other");
  const Lease lease =
      lease_of(write([&](db::Connection& c) { return queue_.claim_in(c, dead, "a", 1).at(0); }));
  EXPECT_TRUE(write([&](db::Connection& c) { return workers::beat_in(c, dead); }));
  EXPECT_FALSE(write([&](db::Connection& c) { return workers::bury_in(c, dead, 0); })) << "it has beaten";
  EXPECT_EQ(write([&](db::Connection& c) { return workers::bury_in(c, dead, 1); }), 1);
  EXPECT_FALSE(write([&](db::Connection& c) { return workers::bury_in(c, dead, 1); })) << "once";
  EXPECT_FALSE(write([&](db::Connection& c) { return workers::beat_in(c, dead); }));
  EXPECT_EQ(get(id).state, JobState::queued);
  EXPECT_EQ(get(id).attempts, 1) << "the attempt counts";
  EXPECT_THROW(write([&](db::Connection& c) { queue_.succeed_in(c, lease); }), LeaseLost);
  EXPECT_EQ(write([&](db::Connection& c) { return queue_.claim_in(c, other, "a", 1); }).size(), 1U);
  enqueue({.kind = "a"});
  EXPECT_THROW(write([&](db::Connection& c) { return queue_.claim_in(c, dead, "a", 1); }), db::Error)
      << "who is buried claims nothing";
}

TEST_P(JobQueue, CountsWhatWaits) {
  enqueue({.kind = "a"});
  const UnixMillis first = unix_millis(clock_);
  clock_.advance(5s);
  enqueue({.kind = "a"});
  enqueue({.kind = "a", .delay = 60s});
  enqueue({.kind = "b"});
  const WorkerId worker = add_worker("1");
  write([&](db::Connection& c) { queue_.claim_in(c, worker, "b", 1); });
  const auto all = write([&](db::Connection& c) { return queue_.statistics_in(c); });
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].kind, "a");
  EXPECT_EQ(all[0].waiting, 2);
  EXPECT_EQ(all[0].scheduled, 1);
  EXPECT_EQ(all[0].oldest, first);
  EXPECT_EQ(all[1].kind, "b");
  EXPECT_EQ(all[1].running, 1);
  EXPECT_EQ(all[1].waiting, 0);
}

TEST_P(JobQueue, ForgetsWhatEndedLongAgoInBatches) {
  const WorkerId worker = add_worker("1");
  for (int i = 0; i < 5; ++i)
    enqueue({.kind = "a"});
  for (const Job& job : write([&](db::Connection& c) { return queue_.claim_in(c, worker, "a", 4); }))
    write([&](db::Connection& c) { queue_.succeed_in(c, lease_of(job)); });
  const auto remove = [&](UnixMillis before) {
    return write([&](db::Connection& c) { return Queue::remove_ended_in(c, before, 3); });
  };
  EXPECT_EQ(remove(unix_millis(clock_)), 0);
  EXPECT_EQ(remove(unix_millis(clock_) + 1), 3);
  EXPECT_EQ(remove(unix_millis(clock_) + 1), 1);
  EXPECT_EQ(write([&](db::Connection& c) { return queue_.list_in(c, {}); }).size(), 1U);
}

// Transactions that really run at the same time, without the histories' one session.
TEST_P(JobQueue, GivesAJobToOneOfManyThatClaimAtOnce) {
  constexpr int jobs = 60, workers = 4;
  for (int i = 0; i < jobs; ++i)
    enqueue({.kind = "a"});
  std::vector<WorkerId> ids;
  for (int i = 0; i < workers; ++i)
    ids.push_back(add_worker(std::to_string(i)));
  std::atomic<int> claimed{0}, ended{0};
  std::vector<std::jthread> threads;
  for (const WorkerId& worker : ids) {
    threads.emplace_back([&, worker] {
      const auto driver = place_.open();
      const auto session = driver->connect(db::Access::write);
      const auto own = db::WriteScope::named(worker.str());  // nothing but the statement keeps them apart
      for (int empty = 0; empty < 3;) {
        session->begin(own);
        const auto found = queue_.claim_in(*session, worker, "a", 1);
        session->commit();
        claimed += static_cast<int>(found.size());
        if (found.empty()) ++empty;
        for (const Job& job : found) {
          session->begin(own);
          queue_.succeed_in(*session, lease_of(job));
          session->commit();
          ++ended;
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(claimed, jobs);
  EXPECT_EQ(ended, jobs);
}

TEST(RetryPolicy, WaitsLongerEachTimeUpToALimit) {
  const RetryPolicy policy{.first = 1s, .longest = 60s};
  const JobId job("job_1");
  auto before = 0ms;
  for (int attempt = 1; attempt <= 6; ++attempt) {
    const auto pause = policy.pause(job, attempt);
    EXPECT_GT(pause, before);
    EXPECT_LE(pause, 1s * (1 << (attempt - 1)));
    before = pause;
  }
  EXPECT_LE(policy.pause(job, 1'000'000), 60s);
  EXPECT_GE(policy.pause(job, 1'000'000), 45s);
}

TEST(WorkerWatch, BuriesWhoShowsTheSameBeatForAWholeLease) {
  FakeClock clock;
  WorkerWatch watch;
  const Worker a{.id = WorkerId("a"), .beat = 1, .lease_time = 10s};
  Worker b{.id = WorkerId("b"), .beat = 1, .lease_time = 10s};
  const auto look = [&] {
    std::vector<std::string> dead;
    for (const Worker& worker : watch.observe({a, b}, clock.steady_now(), clock.steady_now()))
      dead.push_back(worker.id.str());
    return dead;
  };
  EXPECT_TRUE(look().empty());
  clock.advance(9'999ms);
  ++b.beat;
  EXPECT_TRUE(look().empty());
  clock.advance(1ms);
  EXPECT_EQ(look(), std::vector<std::string>{"a"});
  clock.advance(9'998ms);
  EXPECT_EQ(look(), std::vector<std::string>{"a"});
  clock.advance(1ms);
  EXPECT_EQ(look(), (std::vector<std::string>{"a", "b"}));
}

INSTANTIATE_TEST_SUITE_P(Engines, JobQueue, testing::ValuesIn(db::engines), engine_name);

}  // namespace
}  // namespace hearth::jobs
