// The life of a child of any kind, with a kind that is no llama-server.
#include "engine/process/local_engine.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <iterator>
#include <signal.h>

#include <gtest/gtest.h>

#include "async/deadline.hpp"
#include "async/runtime.hpp"
#include "async/scope.hpp"
#include "engine/engines.hpp"
#include "engine/process/sorter_child.hpp"

namespace hearth::engine {
namespace {

using namespace std::chrono_literals;
using hearth::engine::testing::SorterBackend;
using hearth::engine::testing::SorterEngine;
using ::testing::HasSubstr;

CallContext call(std::chrono::milliseconds patience = 20s) {
  return CallContext("req_test", std::chrono::steady_clock::now() + patience);
}

EngineStatus status_of(const Engines& engines, std::string_view model) {
  for (auto& each : engines.status()) {
    if (each.model == model) return each;
  }
  return {};
}

class LocalEngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/hearth-local-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    std::ofstream(script()) << hearth::engine::testing::sorter_program;
    settings_ = {.programs = {{"sorter", "/usr/bin/python3"}},
                 .run_directory = folder_,
                 .load_timeout = 20s,
                 .stop_grace = 2s,
                 .restart_delay = 50ms,
                 .memory_check = 20ms};
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string script() const { return folder_ + "/sorter.py"; }

  Model sorter(std::string id, std::string mode = "ready") const {
    return sorter(std::move(id), SorterEngine::Spec{.script = script(), .mode = std::move(mode)});
  }
  static Model sorter(std::string id, SorterEngine::Spec spec) {
    Model model;
    model.id = std::move(id);
    model.capabilities = {Capability::classification};
    model.engine = std::make_shared<const SorterEngine>(std::move(spec));
    return model;
  }

  template <class Body>
  void with_engines(Body body) {
    run_engines(body);
    // The last to hold an engine may be the thread that waits for the children, which ends with the engines.
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      EXPECT_NE(entry.path().extension(), ".sock") << entry.path();
  }

  template <class Body>
  void run_engines(Body& body) {
    async::Runtime runtime(1);
    async::BlockingPool blocking(2);
    Engines engines(blocking, settings_);
    runtime.run_until_complete([](Engines& table, Body& run) -> Task<void> {
      async::Scope scope(co_await boost::asio::this_coro::executor);
      scope.spawn("engines", table.run());
      std::exception_ptr failure;
      try {
        co_await async::with_deadline(30s, run(table));
      } catch (...) {
        failure = std::current_exception();
      }
      co_await table.stop();
      co_await scope.join();
      if (failure) std::rethrow_exception(failure);
    }(engines, body));
    EXPECT_TRUE(children().empty()) << "a child outlived its engines";
  }

  std::vector<pid_t> children() const {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      std::ifstream file(entry.path() / "cmdline");
      const std::string line{std::istreambuf_iterator<char>(file), {}};
      if (line.find(folder_ + "/engine-") != std::string::npos) found.push_back(std::stoi(name));
    }
    return found;
  }

  std::string log_of(const std::string& model) const {
    std::ifstream file(folder_ + "/engine-" + model + ".log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_;
  EngineSettings settings_;
};

Task<bool> reaches(const Engines& engines, std::string_view model, std::string_view state) {
  for (int i = 0; i < 1000; ++i) {
    if (status_of(engines, model).state == state) co_return true;
    co_await async::sleep_for(10ms);
  }
  co_return false;
}

Task<double> loudness(Lease& lease, std::string text) {
  ClassificationRequest request;
  request.texts.push_back(std::move(text));
  CallContext context = call();
  const Classification found =
      co_await lease.backend().classification()->classify(std::move(request), context);
  co_return found.texts.at(0).at(0).score;
}

// The message of the ApiError that acquire ends with; empty when there is none.
Task<std::string> refusal_of(Engines& engines, Model model, std::chrono::milliseconds patience = 20s) {
  try {
    CallContext context = call(patience);
    co_await engines.acquire(model, context);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 503);
    co_return error.message();
  }
  co_return "";
}

TEST(LocalEngine, NamesOfFilesAreSafeAndShort) {
  EXPECT_EQ(file_name_of("Qwen/Qwen3 8B"), "Qwen_Qwen3_8B");
  EXPECT_EQ(file_name_of("../../etc"), "______etc");
  EXPECT_EQ(file_name_of(std::string(200, 'a')).size(), 40u);
}

TEST(LocalEngine, ASocketsPathIsShortEnoughForTheKernel) {
  EXPECT_THAT(socket_path_of("/run/x", 7), HasSubstr("/run/x/engine-"));
  EXPECT_THROW(socket_path_of(std::string(120, 'a'), 1), std::runtime_error);
}

TEST_F(LocalEngineTest, AnyKindOfChildIsLaunchedAndAnswers) {
  with_engines([&](Engines& engines) -> Task<void> {
    const auto lease = co_await engines.acquire(sorter("a"), call());
    EXPECT_EQ(co_await loudness(*lease, "HEy!"), 0.5);
    EXPECT_EQ(lease->backend().chat(), nullptr);
    EXPECT_EQ(status_of(engines, "a").memory_bytes, 64u << 20);
    EXPECT_EQ(children().size(), 1u);
    EXPECT_THAT(log_of("a"), HasSubstr("POST /classify")) << "its output is kept";
  });
}

TEST_F(LocalEngineTest, ACrashFailsItsRequestsAndTheEngineComesBack) {
  with_engines([&](Engines& engines) -> Task<void> {
    auto lease = co_await engines.acquire(sorter("a"), call());
    auto other = co_await engines.acquire(sorter("b"), call());
    for (std::uint64_t crashes = 1; crashes <= 2; ++crashes) {
      bool failed = false;
      try {
        co_await static_cast<SorterBackend&>(lease->backend()).crash();
      } catch (const ApiError& error) {
        failed = error.status() == 503;
      }
      EXPECT_TRUE(failed);
      for (int i = 0; i < 1000 && status_of(engines, "a").restarts < crashes; ++i)
        co_await async::sleep_for(10ms);
      EXPECT_THAT(co_await refusal_of(engines, sorter("a")), HasSubstr("being restarted"));
      EXPECT_TRUE(co_await reaches(engines, "a", "ready")) << "it is restarted without being asked";
      EXPECT_EQ(status_of(engines, "a").restarts, crashes);
      lease = co_await engines.acquire(sorter("a"), call());
      EXPECT_EQ(co_await loudness(*lease, "A"), 1);
    }
    EXPECT_EQ(co_await loudness(*other, "b"), 0) << "the other engine has noticed nothing";
    EXPECT_EQ(status_of(engines, "b").restarts, 0u);
  });
}

TEST_F(LocalEngineTest, WhatDoesNotComeUpBacksOffAndLeavesNothingBehind) {
  settings_.load_timeout = 600ms;
  settings_.restart_delay = 10s;
  with_engines([&](Engines& engines) -> Task<void> {
    EXPECT_EQ(co_await refusal_of(engines, sorter("deaf", "deaf")), "The model could not be loaded in time.");
    EXPECT_EQ(co_await refusal_of(engines, sorter("loading", "loading")),
              "The model could not be loaded in time.");
    for (const char* mode : {"mute", "broken"})
      EXPECT_THAT(co_await refusal_of(engines, sorter(mode, mode)), HasSubstr("the server's log says why"))
          << mode;
    for (const char* mode : {"deaf", "loading", "mute", "broken"}) {
      EXPECT_TRUE(co_await reaches(engines, mode, "backing_off")) << mode;
      EXPECT_EQ(status_of(engines, mode).memory_bytes, 0u) << mode;
    }
    for (int i = 0; i < 1000 && !children().empty(); ++i)
      co_await async::sleep_for(10ms);
    EXPECT_TRUE(children().empty());
    EXPECT_THAT(log_of("broken"), HasSubstr("lost its scales"));
  });
}

TEST_F(LocalEngineTest, AnEngineWithoutTheTaskOfItsModelIsRefused) {
  with_engines([&](Engines& engines) -> Task<void> {
    Model model = sorter("a");
    model.capabilities.insert(Capability::speech);
    EXPECT_THAT(co_await refusal_of(engines, model), HasSubstr("could not be loaded"));
  });
}

TEST_F(LocalEngineTest, TheLeastRecentlyUsedMakesRoom) {
  settings_.memory_budget = 150 << 20;  // two of 64 MiB
  with_engines([&](Engines& engines) -> Task<void> {
    co_await engines.acquire(sorter("a"), call());
    co_await engines.acquire(sorter("b"), call());
    co_await engines.acquire(sorter("a"), call());
    co_await engines.acquire(sorter("c"), call());
    EXPECT_EQ(status_of(engines, "a").state, "ready");
    EXPECT_EQ(status_of(engines, "b").state, "unloaded");
    EXPECT_EQ(children().size(), 2u);
    SorterEngine::Spec huge{.script = script(), .memory_bytes = 1ULL << 40};
    EXPECT_THAT(co_await refusal_of(engines, sorter("huge", huge)), HasSubstr("more memory"));
  });
}

TEST_F(LocalEngineTest, IdleEnginesAreUnloaded) {
  settings_.idle_unload = 150ms;
  with_engines([&](Engines& engines) -> Task<void> {
    co_await engines.acquire(sorter("a"), call());
    EXPECT_TRUE(co_await reaches(engines, "a", "unloaded"));
    EXPECT_TRUE(children().empty());
  });
}

TEST_F(LocalEngineTest, AnEngineThatOutgrowsItsBoundIsKilled) {
  SorterEngine::Spec bounded{.script = script(), .memory_most = 200 << 20};
  with_engines([&](Engines& engines) -> Task<void> {
    const auto lease = co_await engines.acquire(sorter("a", bounded), call());
    auto& backend = static_cast<SorterBackend&>(lease->backend());
    co_await backend.grow(40);
    co_await async::sleep_for(200ms);
    EXPECT_EQ(status_of(engines, "a").restarts, 0u) << "below the bound";
    try {
      co_await backend.grow(300);
    } catch (const ApiError&) {
      // Killed before it had answered.
    }
    for (int i = 0; i < 1000 && status_of(engines, "a").restarts == 0; ++i)
      co_await async::sleep_for(10ms);
    EXPECT_EQ(status_of(engines, "a").restarts, 1u);
    EXPECT_TRUE(co_await reaches(engines, "a", "ready"));
  });
}

}  // namespace
}  // namespace hearth::engine
