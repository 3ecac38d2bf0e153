#include "jobs/event_log.hpp"

#include "async/scope.hpp"
#include "base/api_error.hpp"
#include "jobs/test_room.hpp"

namespace hearth::jobs {
namespace {

using namespace std::chrono_literals;

const StreamId stream("stream_1");

class EventLog : public JobsTest {
 protected:
  // A job that runs here and writes the stream.
  Job start() {
    const WorkerId worker = add_worker("1");
    enqueue({.kind = "a"});
    return write([&](db::Connection& c) {
      event_log::create_in(
          c, {.id = stream, .organization = OrganizationId("org-1"), .project = ProjectId("proj_1")}, 1);
      return queue_.claim_in(c, worker, "a", 1).at(0);
    });
  }
  StreamState state() {
    return write([](db::Connection& c) { return event_log::find_in(c, stream).value(); });
  }
  std::vector<std::int64_t> numbers() {
    std::vector<std::int64_t> all;
    for (const StreamEvent& event :
         write([](db::Connection& c) { return event_log::read_in(c, stream, 0, 10'000); }))
      all.push_back(event.sequence);
    return all;
  }
  static std::vector<std::int64_t> up_to(std::int64_t last) {
    std::vector<std::int64_t> all;
    for (std::int64_t i = 1; i <= last; ++i)
      all.push_back(i);
    return all;
  }
};

TEST_P(EventLog, NumbersWithoutGapsAndKeepsTheOrder) {
  Execution execution(start(), *database_);
  EventWriter writer(execution, stream, state());
  for (int i = 1; i <= 333; ++i)
    EXPECT_EQ(wait<std::int64_t>(writer.add("delta", fmt::format("{{\"n\":{}}}", i))), i);
  EXPECT_TRUE(numbers().empty()) << "added, not written";
  run(writer.flush());
  EXPECT_EQ(numbers(), up_to(333));
  const auto some = write([](db::Connection& c) { return event_log::read_in(c, stream, 331, 10); });
  EXPECT_EQ(some, (std::vector<StreamEvent>{{332, "delta", "{\"n\":332}"}, {333, "delta", "{\"n\":333}"}}));
}

TEST_P(EventLog, NeverShowsAStatusBeforeItsEvents) {
  Execution execution(start(), *database_);
  EventWriter writer(execution, stream, state());
  wait<std::int64_t>(writer.add("a", "{}"));
  wait<std::int64_t>(writer.add("b", "{}"));
  const Effect done =
      writer.with_events([](db::Connection& c) { event_log::end_in(c, stream, std::nullopt); });
  // As the runner does; the first answer is lost.
  EXPECT_THROW(write([&](db::Connection& c) {
                 queue_.succeed_in(c, lease_of(execution.job()));
                 done(c);
                 throw std::runtime_error("undone");
               }),
               std::runtime_error);
  EXPECT_TRUE(numbers().empty());
  EXPECT_FALSE(state().ended);
  write([&](db::Connection& c) {
    queue_.succeed_in(c, lease_of(execution.job()));
    done(c);
  });
  EXPECT_EQ(numbers(), up_to(2));
  EXPECT_TRUE(state().ended);
}

TEST_P(EventLog, WritesAGroupWhoseAnswerWasLostOnce) {
  Execution execution(start(), *database_);
  EventWriter writer(execution, stream, state());
  wait<std::int64_t>(writer.add("a", "{}"));
  const Effect group = writer.with_events({});
  write([&](db::Connection& c) { group(c); });  // committed, and the writer does not know
  wait<std::int64_t>(writer.add("b", "{}"));
  run(writer.flush());
  EXPECT_EQ(numbers(), up_to(2));
}

TEST_P(EventLog, RefusesAGap) {
  start();
  const std::vector<StreamEvent> late{{2, "a", "{}"}};
  EXPECT_THROW(write([&](db::Connection& c) { event_log::append_in(c, stream, late); }), db::Error);
}

TEST_P(EventLog, LosesOnlyTheTailThatWasNotWrittenWhenItsWorkerDies) {
  const Job job = start();
  Execution execution(job, *database_);
  EventWriter writer(execution, stream, state());
  for (int i = 0; i < 3; ++i)
    wait<std::int64_t>(writer.add("kept", "{}"));
  run(writer.flush());
  wait<std::int64_t>(writer.add("lost", "{}"));
  // Another takes over, and goes on where the log ends.
  const WorkerId other = add_worker("2");
  const Job taken = write([&](db::Connection& c) {
    workers::bury_in(c, *job.worker, 0);
    return queue_.claim_in(c, other, "a", 1).at(0);
  });
  Execution again(taken, *database_);
  EventWriter next(again, stream, state());
  EXPECT_EQ(wait<std::int64_t>(next.add("new", "{}")), 4);
  run(next.flush());
  // The first was only slow: it writes nothing any more.
  EXPECT_THROW(run(writer.flush()), LeaseLost);
  EXPECT_THROW(run(execution.write(writer.with_events({}))), LeaseLost);
  const auto events = write([](db::Connection& c) { return event_log::read_in(c, stream, 0, 9); });
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[3].type, "new");
}

// One that adds slowly enough for several groups.
Task<void> produce(EventWriter& writer, int events) {
  for (int i = 0; i < events; ++i) {
    co_await writer.add("delta", "{}");
    co_await async::sleep_for(10ms);
  }
}

TEST_P(EventLog, IsFollowedFromAnotherReplicaWhileItIsWritten) {
  Execution execution(start(), *database_);
  EventWriter writer(execution, stream, state());
  const auto replica = open();
  std::vector<std::int64_t> seen;
  int reads = 0;
  run([](EventWriter& w, Execution& e, db::Database& other, std::vector<std::int64_t>& all,
         int& n) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    scope.spawn("writer", [](EventWriter& made, Execution& work) -> Task<void> {
      co_await made.write_during(produce(made, 60));
      co_await work.write(
          made.with_events([](db::Connection& c) { event_log::end_in(c, stream, std::nullopt); }));
    }(w, e));
    EventReader reader(other, stream, 0);
    for (;;) {
      const auto events = co_await reader.next();
      if (events.empty()) break;
      ++n;
      for (const StreamEvent& event : events)
        all.push_back(event.sequence);
    }
    co_await scope.join();
  }(writer, execution, *replica, seen, reads));
  EXPECT_EQ(seen, up_to(60));
  EXPECT_GE(reads, 2) << "in groups";
  EXPECT_LT(reads, 30) << "in groups";
  // Resumption.
  EventReader again(*replica, stream, 58);
  EXPECT_EQ(wait<std::vector<StreamEvent>>(again.next()).front().sequence, 59);
}

TEST_P(EventLog, StopsAProducerWhoseLeaseIsLost) {
  const Job job = start();
  Execution execution(job, *database_);
  EventWriter writer(execution, stream, state());
  write([&](db::Connection& c) { workers::bury_in(c, *job.worker, 0); });
  EXPECT_THROW(run(writer.write_during(produce(writer, 2'000))), LeaseLost);
  EXPECT_TRUE(numbers().empty());
}

TEST_P(EventLog, EndsForWhoFollowsAStreamThatIsRemoved) {
  start();
  write([](db::Connection& c) { event_log::remove_in(c, stream); });
  EventReader reader(*database_, stream, 0);
  EXPECT_TRUE(wait<std::vector<StreamEvent>>(reader.next()).empty());
}

TEST_P(EventLog, IsSweptWithItsEventsWhenItsTimeIsOver) {
  Execution execution(start(), *database_);
  EventWriter writer(execution, stream, state());
  wait<std::int64_t>(writer.add("a", "{}"));
  run(writer.flush());
  const auto remove = [&](UnixMillis at) {
    return write([&](db::Connection& c) { return event_log::remove_expired_in(c, at, 10); });
  };
  EXPECT_EQ(remove(1'000'000), 0) << "one that has no end";
  write([](db::Connection& c) { event_log::end_in(c, stream, 500); });
  EXPECT_EQ(remove(499), 0);
  EXPECT_EQ(remove(500), 1);
  EXPECT_TRUE(numbers().empty());
}

INSTANTIATE_TEST_SUITE_P(Engines, EventLog, testing::ValuesIn(db::engines), engine_name);

}  // namespace
}  // namespace hearth::jobs
