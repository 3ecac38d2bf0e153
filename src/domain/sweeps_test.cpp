#include "domain/sweeps.hpp"

#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "db/test_database.hpp"
#include "jobs/event_log.hpp"
#include "jobs/queue.hpp"
#include "jobs/workers.hpp"
#include "store/bootstrap.hpp"
#include "store/schema.hpp"

namespace hearth::domain {
namespace {

using namespace std::chrono_literals;

class SweepsTest : public testing::TestWithParam<db::Engine> {
 public:
  void SetUp() override {
    HEARTH_SKIP_WITHOUT(GetParam());
    database_ = store::open_database(place_.open());
    run([](SweepsTest& test) -> Task<void> {
      const auto made = co_await store::bootstrap(*test.database_, test.clock_, test.ids_);
      test.organization_ = made->organization;
    }(*this));
    write([&](db::Connection& c) {
      c.execute(
          "INSERT INTO users (id, organization_id, email, email_key, name, role, added_at, sequence) "
          "VALUES ('user_1', $1, 'a@b', 'a@b', 'A', 'reader', 1, 1)",
          {organization_});
    });
  }
  void run(Task<void> task) { runtime_.run_until_complete(std::move(task)); }
  void write(const std::function<void(db::Connection&)>& work) {
    run([](db::Database& database, const std::function<void(db::Connection&)>& each) -> Task<void> {
      co_await database.write(db::WriteScope::everyone(), [&](db::Connection& c) { each(c); });
    }(*database_, work));
  }
  std::int64_t count(const std::string& table) {
    std::int64_t rows = 0;
    write([&](db::Connection& c) {
      rows = c.query(fmt::format("SELECT COUNT(*) FROM {}", table))[0].get<std::int64_t>(0);
    });
    return rows;
  }

  void add_session(const std::string& token, UnixSeconds expires_at) {
    write([&](db::Connection& c) {
      c.execute(
          "INSERT INTO sessions (token_hash, organization_id, user_id, created_at, expires_at) "
          "VALUES ($1, $2, 'user_1', 1, $3)",
          {token, organization_, expires_at});
    });
  }
  void add_link(const std::string& token, UnixSeconds expires_at) {
    write([&](db::Connection& c) {
      c.execute(
          "INSERT INTO one_time_links (token_hash, organization_id, purpose, subject, expires_at) "
          "VALUES ($1, $2, 'invite', 'x', $3)",
          {token, organization_, expires_at});
    });
  }
  void add_invite(const std::string& id, UnixSeconds expires_at, std::optional<UnixSeconds> accepted_at) {
    write([&](db::Connection& c) {
      c.execute(
          "INSERT INTO invites (id, organization_id, email, email_key, role, invited_at, expires_at, "
          "accepted_at, "
          "sequence) VALUES ($1, $2, $1, $1, 'reader', 1, $3, $4, 1)",
          {id, organization_, expires_at, accepted_at});
    });
  }

  // Runs the job as the runner does, up to where it would end. `lives`: false cuts it after its first step.
  jobs::Job claim(const std::string& kind) {
    std::optional<jobs::Job> job;
    write([&](db::Connection& c) {
      const jobs::WorkerId worker(ids_.make("worker_"));
      jobs::workers::register_in(c, {.id = worker, .lease_time = 10s, .host = "test", .started_at = 1});
      queue_.enqueue_in(c, {.kind = kind, .unique_key = kind});
      job = queue_.claim_in(c, worker, kind, 1).at(0);
    });
    return *job;
  }
  jobs::Job sweep(const std::string& name) {
    const jobs::Job job = claim(name);
    for (const jobs::Kind& kind : sweeps_.kinds()) {
      if (kind.name != name) continue;
      jobs::Execution execution(job, *database_);
      run([](const jobs::Kind& each, jobs::Execution& made) -> Task<void> {
        co_await each.handler.get().run(made);
      }(kind, execution));
      write([&](db::Connection& c) { queue_.succeed_in(c, jobs::lease_of(job)); });
      return execution.job();
    }
    ADD_FAILURE() << "no kind " << name;
    return job;
  }

  db::TestDatabase place_{GetParam()};
  FakeClock clock_;
  IdSource ids_{clock_};
  jobs::Queue queue_{clock_, ids_};
  Sweeps sweeps_{clock_, {.every = 3600s, .jobs_kept = 24h}};
  async::Runtime runtime_{1};
  std::unique_ptr<db::Database> database_;
  OrganizationId organization_;
};

TEST_P(SweepsTest, ForgetExpiredSessionsAndLinksInBatches) {
  const UnixSeconds now = clock_.unix_now();
  for (int i = 0; i < 1'203; ++i)
    add_session(fmt::format("old {}", i), now - i);
  add_session("alive", now + 1);
  add_link("old", now);
  add_link("alive", now + 1);
  const jobs::Job job = sweep("sweep_sessions");
  EXPECT_EQ(count("sessions"), 1);
  EXPECT_EQ(count("one_time_links"), 1);
  EXPECT_EQ(job.progress.done, 1'204);
}

TEST_P(SweepsTest, GoOnWithTheStepWhereTheyWere) {
  const UnixSeconds now = clock_.unix_now();
  add_session("old", now);
  add_link("old", now);
  const jobs::Job job = claim("sweep_sessions");
  write([&](db::Connection& c) {
    jobs::Queue::save_in(c, jobs::lease_of(job), json::value{{"step", 1}}, {.done = 7});
    queue_.release_in(c, jobs::lease_of(job));
  });
  EXPECT_EQ(sweep("sweep_sessions").progress.done, 8);
  EXPECT_EQ(count("one_time_links"), 0);
  EXPECT_EQ(count("sessions"), 1) << "that step was done";
}

TEST_P(SweepsTest, ForgetInvitesThirtyDaysAfterTheyExpired) {
  const UnixSeconds now = clock_.unix_now();
  constexpr UnixSeconds day = 86'400;
  add_invite("invite-old", now - 30 * day - 1, std::nullopt);
  add_invite("invite-young", now - 30 * day, std::nullopt);
  add_invite("invite-accepted", now - 90 * day, now - 91 * day);
  EXPECT_EQ(sweep("sweep_invites").progress.done, 1);
  EXPECT_EQ(count("invites"), 2);
}

TEST_P(SweepsTest, ForgetJobsAndStreamsWhoseTimeIsOver) {
  sweep("sweep_sessions");
  write([&](db::Connection& c) {
    const jobs::StreamId stream("stream_1");
    jobs::event_log::create_in(c, {.id = stream}, 1);
    jobs::event_log::append_in(c, stream, std::vector<jobs::StreamEvent>{{1, "a", "{}"}});
    jobs::event_log::end_in(c, stream, jobs::unix_millis(clock_) + 1'000);
  });
  EXPECT_EQ(sweep("sweep_jobs").progress.done, 0);
  clock_.advance(24h + 1ms);
  EXPECT_EQ(sweep("sweep_jobs").progress.done, 3) << "two jobs and a stream";
  EXPECT_EQ(count("stream_events"), 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, SweepsTest, testing::ValuesIn(db::engines),
                         [](const auto& info) { return std::string(db::name_of(info.param)); });

}  // namespace
}  // namespace hearth::domain
