#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "async/blocking_pool.hpp"
#include "async/deadline.hpp"
#include "async/runtime.hpp"
#include "async/scope.hpp"
#include "async/semaphore.hpp"

namespace hearth::async {
namespace {

using namespace std::chrono_literals;

TEST(BlockingPool, ReturnsResultsAndExceptions) {
  Runtime runtime(1);
  BlockingPool pool(2);
  runtime.run_until_complete([](BlockingPool& blocking) -> Task<void> {
    const auto caller = std::this_thread::get_id();
    const auto worker = co_await blocking.run([] { return std::this_thread::get_id(); });
    EXPECT_NE(worker, caller);
    EXPECT_EQ(std::this_thread::get_id(), caller);
    co_await blocking.run([] {});
    const auto moved = co_await blocking.run([] { return std::make_unique<int>(7); });
    EXPECT_EQ(*moved, 7);
  }(pool));
  EXPECT_THROW(runtime.run_until_complete([](BlockingPool& blocking) -> Task<void> {
    co_await blocking.run([]() -> int { throw std::runtime_error("no"); });
  }(pool)),
               std::runtime_error);
}

TEST(Deadline, CancelsTheTask) {
  Runtime runtime(1);
  EXPECT_THROW(runtime.run_until_complete(with_deadline(10ms, sleep_for(60s))), DeadlineExceeded);
  runtime.run_until_complete(with_deadline(60s, sleep_for(1ms)));
}

TEST(Deadline, PassesOnAtOnceWhatTheTaskThrows) {
  Runtime runtime(1);
  const auto fail = []() -> Task<int> {
    co_await sleep_for(1ms);
    throw std::runtime_error("no");
  };
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_THROW(runtime.run_until_complete([](Task<int> task) -> Task<void> {
    co_await with_deadline(60s, std::move(task));
  }(fail())),
               std::runtime_error);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
}

TEST(RunUnless, EndsWithWhicheverComesFirst) {
  Runtime runtime(1);
  runtime.run_until_complete([]() -> Task<void> {
    const auto number = []() -> Task<int> {
      co_await sleep_for(1ms);
      co_return 7;
    };
    const auto failing = []() -> Task<void> {
      co_await sleep_for(1ms);
      throw std::runtime_error("no");
    };
    EXPECT_EQ(co_await run_unless(number(), sleep_for(60s)), 7);
    EXPECT_EQ(co_await run_unless(sleep_for(60s), sleep_for(1ms)), std::nullopt);
    EXPECT_EQ(co_await run_unless(sleep_for(60s), failing()), std::nullopt);
    bool thrown = false;
    try {
      co_await run_unless(failing(), sleep_for(60s));
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
  }());
}

TEST(RunUnless, TheLoserHasEndedOnReturn) {
  Runtime runtime(1);
  runtime.run_until_complete([]() -> Task<void> {
    int ended = 0;
    const auto until_cancelled = [](int& count) -> Task<void> {
      try {
        co_await sleep_for(60s);
      } catch (const boost::system::system_error&) {
        ++count;
      }
    };
    const auto at_once = []() -> Task<void> { co_return; };
    co_await run_unless(sleep_for(1ms), until_cancelled(ended));
    EXPECT_EQ(ended, 1);
    EXPECT_EQ(co_await run_unless(until_cancelled(ended), sleep_for(1ms)), std::nullopt);
    EXPECT_EQ(ended, 2);
    EXPECT_NE(co_await run_unless(at_once(), until_cancelled(ended)), std::nullopt);
    EXPECT_EQ(ended, 3);
    EXPECT_EQ(co_await run_unless(until_cancelled(ended), at_once()), std::nullopt);
  }());
}

TEST(RunUnless, GivesAHeadStart) {
  Runtime runtime(1);
  runtime.run_until_complete([]() -> Task<void> {
    int begun = 0;
    const auto interruption = [](int& count) -> Task<void> {
      ++count;
      co_await sleep_for(1ms);
    };
    EXPECT_NE(co_await run_unless(sleep_for(1ms), interruption(begun), 60s), std::nullopt);
    EXPECT_EQ(begun, 0);
    EXPECT_EQ(co_await run_unless(sleep_for(60s), interruption(begun), 5ms), std::nullopt);
    EXPECT_EQ(begun, 1);
  }());
}

TEST(RunUnless, ACancelledCallerStopsBothAndGoesOnAsCancelled) {
  Runtime runtime(1);
  runtime.run_until_complete([]() -> Task<void> {
    int ended = 0;
    const auto until_cancelled = [](int& count) -> Task<void> {
      try {
        co_await sleep_for(60s);
      } catch (const boost::system::system_error& error) {
        ++count;
        throw;
      }
    };
    std::string seen;
    const auto caller = [&](bool with_limit) -> Task<void> {
      try {
        if (with_limit) {
          co_await with_deadline(60s, until_cancelled(ended));
        } else {
          co_await run_unless(until_cancelled(ended), until_cancelled(ended));
        }
      } catch (const boost::system::system_error& error) {
        seen += error.code() == boost::asio::error::operation_aborted ? 'c' : '?';
      } catch (const DeadlineExceeded&) {
        seen += 'd';
      }
      seen += ended > 0 ? '.' : '!';
    };
    EXPECT_EQ(co_await run_unless(caller(false), sleep_for(1ms)), std::nullopt);
    EXPECT_EQ(seen, "c.");
    EXPECT_EQ(ended, 2);
    EXPECT_EQ(co_await run_unless(caller(true), sleep_for(1ms)), std::nullopt);
    EXPECT_EQ(seen, "c.c.");
    EXPECT_EQ(ended, 3);
  }());
}

TEST(Scope, CancelsAndJoins) {
  Runtime runtime(1);
  int ended = 0;
  runtime.run_until_complete([](int& count) -> Task<void> {
    Scope scope(co_await boost::asio::this_coro::executor);
    const auto child = [](int& n) -> Task<void> {
      struct OnExit {
        int& n;
        ~OnExit() { ++n; }
      } on_exit{n};
      co_await sleep_for(60s);
    };
    for (int i = 0; i < 3; ++i)
      scope.spawn("child", child(count));
    scope.spawn("throws", []() -> Task<void> {
      co_await sleep_for(0ms);
      throw std::runtime_error("logged");
    }());
    co_await sleep_for(5ms);
    EXPECT_EQ(scope.size(), 3u);
    scope.cancel();
    co_await scope.join();
    EXPECT_EQ(scope.size(), 0u);
  }(ended));
  EXPECT_EQ(ended, 3);
}

TEST(Semaphore, WaitsInOrderAndGivesUp) {
  Runtime runtime(1);
  Semaphore semaphore(10);
  runtime.run_until_complete([](Semaphore& s) -> Task<void> {
    EXPECT_FALSE((co_await s.acquire(11, 10ms)).has_value());
    auto first = co_await s.acquire(8, 10ms);
    EXPECT_TRUE(first.has_value());
    EXPECT_FALSE((co_await s.acquire(3, 5ms)).has_value());
    Scope scope(co_await boost::asio::this_coro::executor);
    std::string order;
    const auto take = [](Semaphore& sem, std::size_t n, std::string& log, char name) -> Task<void> {
      auto permit = co_await sem.acquire(n, 5000ms);
      if (permit) log.push_back(name);
      co_await sleep_for(1ms);
    };
    scope.spawn("large", take(s, 9, order, 'L'));
    co_await sleep_for(1ms);
    scope.spawn("small", take(s, 1, order, 's'));
    co_await sleep_for(1ms);
    EXPECT_EQ(order, "");  // the small one would fit but came later
    first.reset();
    co_await scope.join();
    EXPECT_EQ(order, "Ls");
    EXPECT_EQ(s.available(), 10u);
  }(semaphore));
}

TEST(Semaphore, PermitsShrinkAndGrow) {
  Semaphore semaphore(10);
  auto permit = semaphore.try_acquire(8);
  ASSERT_TRUE(permit.has_value());
  permit->shrink_to(3);
  EXPECT_EQ(semaphore.available(), 7u);
  permit->shrink_to(5);  // never grows by itself
  EXPECT_EQ(permit->count(), 3u);
  auto more = semaphore.try_acquire(4);
  ASSERT_TRUE(more.has_value());
  permit->absorb(std::move(*more));
  more.reset();
  EXPECT_EQ(permit->count(), 7u);
  EXPECT_EQ(semaphore.available(), 3u);
  permit.reset();
  EXPECT_EQ(semaphore.available(), 10u);
}

TEST(Semaphore, AcrossThreads) {
  Runtime runtime(3);
  Semaphore semaphore(2);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> left{60};
  runtime.start();
  for (int i = 0; i < 60; ++i) {
    boost::asio::co_spawn(
        runtime.next_executor(),
        [](Semaphore& s, std::atomic<int>& in, std::atomic<int>& peak, std::atomic<int>& rest,
           Runtime& rt) -> Task<void> {
          auto permit = co_await s.acquire(1, 10000ms);
          EXPECT_TRUE(permit.has_value());
          const int now = ++in;
          int seen = peak.load();
          while (now > seen && !peak.compare_exchange_weak(seen, now)) {
          }
          co_await sleep_for(1ms);
          --in;
          permit.reset();
          if (--rest == 0) rt.stop();
        }(semaphore, inside, most, left, runtime),
        [](std::exception_ptr) {});
  }
  runtime.run();
  EXPECT_LE(most.load(), 2);
  EXPECT_EQ(left.load(), 0);
}

}  // namespace
}  // namespace hearth::async
