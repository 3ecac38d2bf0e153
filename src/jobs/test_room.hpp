// For tests of jobs/: a database with its tables, and what works on it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "async/deadline.hpp"
#include "async/runtime.hpp"
#include "db/database.hpp"
#include "jobs/queue.hpp"
#include "jobs/test_schema.hpp"
#include "jobs/workers.hpp"

namespace hearth::jobs {

class JobsTest : public testing::TestWithParam<db::Engine> {
 public:
  void SetUp() override {
    HEARTH_SKIP_WITHOUT(GetParam());
    make_tables(*place_.open());
    database_ = open();
  }

  std::unique_ptr<db::Database> open() {
    return std::make_unique<db::Database>(place_.open(), db::Database::Options{.readers = 1});
  }
  void run(Task<void> task) { runtime_.run_until_complete(std::move(task)); }

  template <class Work>
  auto write(Work work) {
    using Result = std::invoke_result_t<Work&, db::Connection&>;
    return wait<Result>(database_->write(db::WriteScope::everyone(), std::move(work)));
  }
  template <class Result>
  Result wait(Task<Result> task) {
    if constexpr (std::is_void_v<Result>) {
      run(std::move(task));
    } else {
      std::optional<Result> result;
      run([](Task<Result> work, std::optional<Result>& out) -> Task<void> {
        out.emplace(co_await std::move(work));
      }(std::move(task), result));
      return std::move(*result);
    }
  }

  JobId enqueue(NewJob job) {
    return write([&](db::Connection& c) { return queue_.enqueue_in(c, job).value(); });
  }
  Job get(const JobId& id) {
    return write([&](db::Connection& c) { return queue_.find_in(c, id).value(); });
  }
  WorkerId add_worker(const std::string& name) {
    const WorkerId id("worker_" + name);
    write([&](db::Connection& c) {
      workers::register_in(
          c, {.id = id, .lease_time = std::chrono::seconds(10), .host = "test", .started_at = 1});
    });
    return id;
  }

  db::TestDatabase place_{GetParam()};
  FakeClock clock_;
  IdSource ids_{clock_};
  Queue queue_{clock_, ids_};
  async::Runtime runtime_{1};
  std::unique_ptr<db::Database> database_;  // dies before the runtime that it resumes on
};

// Until it holds; real time, with an end.
template <class Condition>
Task<bool> eventually(Condition condition) {
  for (int i = 0; i < 1'500; ++i) {
    if (condition()) co_return true;
    co_await async::sleep_for(std::chrono::milliseconds(10));
  }
  co_return false;
}

inline std::string engine_name(const testing::TestParamInfo<db::Engine>& info) {
  return std::string(db::name_of(info.param));
}

}  // namespace hearth::jobs
