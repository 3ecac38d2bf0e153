#include "engine/engines.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "async/scope.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"
#include "engine/engine_table.hpp"

namespace hearth::engine {
namespace {

constexpr std::string_view engine_unavailable = "engine_unavailable";
constexpr std::chrono::seconds longest_sleep{10};
constexpr std::chrono::milliseconds shortest_sleep{20};
constexpr std::chrono::milliseconds hurried_grace{500};

// Half of what this machine, or the container we are in, has.
std::uint64_t default_budget() {
  auto memory = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                static_cast<std::uint64_t>(::sysconf(_SC_PAGE_SIZE));
  std::uint64_t limit = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> limit) memory = std::min(memory, limit);
  return memory / 2;
}

std::string_view state_name(EngineState state) {
  switch (state) {
    case EngineState::unloaded:
      return "unloaded";
    case EngineState::loading:
      return "loading";
    case EngineState::ready:
      return "ready";
    case EngineState::backing_off:
      return "backing_off";
    case EngineState::stopping:
      return "stopping";
  }
  return "";
}

ApiError draining_error() {
  return ApiError::unavailable(engine_unavailable, "The server is shutting down.")
      .with_retry_after(std::chrono::seconds(5));
}

// Counts a caller of acquire() while it has no lease.
class Waiting {
 public:
  // The caller holds the mutex here, and not when this ends.
  Waiting(std::mutex& mutex, std::shared_ptr<Engine> engine) : mutex_(mutex), engine_(std::move(engine)) {
    ++engine_->waiting;
  }
  ~Waiting() {
    std::lock_guard lock(mutex_);
    --engine_->waiting;
  }
  Waiting(const Waiting&) = delete;

 private:
  std::mutex& mutex_;
  std::shared_ptr<Engine> engine_;  // shared with the table, which may retire it meanwhile
};

class EngineLease final : public Lease {
 public:
  EngineLease(std::function<void()> release, std::shared_ptr<Instance> instance)
      : release_(std::move(release)), instance_(std::move(instance)) {}
  ~EngineLease() override { release_(); }
  Backend& backend() override { return instance_->backend(); }

 private:
  std::function<void()> release_;
  std::shared_ptr<Instance> instance_;  // shared with the engine and its other leases
};

}  // namespace

Engines::Impl::Impl(async::BlockingPool& pool, EngineSettings given)
    : blocking(pool),
      settings(std::move(given)),
      budget(settings.memory_budget > 0 ? settings.memory_budget : default_budget()) {}

std::shared_ptr<Engine> Engines::Impl::engine_of(const Model& model) {
  const auto found = engines.find(model.id);
  if (found != engines.end()) {
    if (same_engine(*found->second->model.engine, *model.engine)) return found->second;
    retire(found->second);
    engines.erase(found);
  }
  auto engine = std::make_shared<Engine>(model);
  const auto adapter = model.engine->adapter();
  if (const auto* remote = std::get_if<const RemoteAdapter*>(&adapter)) {
    engine->instance = std::make_shared<Instance>();
    engine->instance->remote = (*remote)->connect(model);
    if (const auto missing = find_missing_task(*engine->instance->remote, model.capabilities))
      throw std::runtime_error(
          fmt::format("the engine of the model '{}' has no {}", model.id, capability_name(*missing)));
    engine->state = EngineState::ready;
  }
  engines.emplace(model.id, engine);
  return engine;
}

void Engines::Impl::retire(const std::shared_ptr<Engine>& engine) {
  engine->retired = true;
  if (std::erase(wanted, engine) > 0) engine->state = EngineState::unloaded;
  if (find_child_adapter(*engine->model.engine)) retired.push_back(engine);
  changed.announce();
}

void Engines::Impl::release(const std::shared_ptr<Engine>& engine,
                            const std::shared_ptr<Instance>& instance) {
  bool watched = false;
  {
    std::lock_guard lock(mutex);
    --leases;
    --instance->leases;
    engine->last_used = std::chrono::steady_clock::now();
    watched = engine->retired || draining || watching_releases > 0;
  }
  if (watched) changed.announce();
}

SteadyTime Engines::Impl::grace_end(SteadyTime begin) const {
  return begin + (hurried ? std::min(hurried_grace, settings.stop_grace) : settings.stop_grace);
}

void Engines::Impl::for_each(const std::function<void(const std::shared_ptr<Engine>&)>& visit) const {
  for (const auto& [name, engine] : engines)
    visit(engine);
  for (const auto& engine : retired)
    visit(engine);
}

Engines::Impl::Work Engines::Impl::take_work(SteadyTime now) {
  // The end of a lease wakes nobody: the idle time is looked at often enough instead.
  const SteadyTime::duration sleep =
      settings.idle_unload.count() > 0
          ? std::clamp<SteadyTime::duration>(settings.idle_unload / 4, shortest_sleep, longest_sleep)
          : SteadyTime::duration(longest_sleep);
  Work work{.load = std::exchange(wanted, {}), .stop = {}, .next = now + sleep};
  const auto idle_at = [&](const Engine& engine) {
    return settings.idle_unload.count() > 0 ? engine.last_used + settings.idle_unload : SteadyTime::max();
  };
  for_each([&](const std::shared_ptr<Engine>& engine) {
    if (engine->state == EngineState::ready && engine->instance->local && engine->instance->leases == 0) {
      const SteadyTime end = engine->retired ? now : idle_at(*engine);
      if (end <= now) {
        engine->state = EngineState::stopping;
        work.stop.push_back(engine);
      } else {
        work.next = std::min(work.next, end);
      }
    } else if (engine->state == EngineState::backing_off && engine->retry_at <= now) {
      if (engine->retired || !engine->restart || idle_at(*engine) <= now) {
        engine->state = EngineState::unloaded;
      } else {
        engine->state = EngineState::loading;
        work.load.push_back(engine);
      }
    } else if (engine->state == EngineState::backing_off) {
      work.next = std::min(work.next, engine->retry_at);
    }
  });
  std::erase_if(retired, [](const auto& engine) {
    return engine->state == EngineState::unloaded || engine->state == EngineState::backing_off;
  });
  return work;
}

Engines::Engines(async::BlockingPool& blocking, EngineSettings settings)
    : impl_(std::make_unique<Impl>(blocking, std::move(settings))) {
  if (impl_->settings.run_directory.empty()) return;
  std::filesystem::create_directories(impl_->settings.run_directory);
  ::chmod(impl_->settings.run_directory.c_str(), 0700);
  remove_stale_sockets(impl_->settings.run_directory);
}

Engines::~Engines() = default;

Task<std::unique_ptr<Lease>> Engines::acquire(const Model& model, const CallContext& call) {
  Impl& table = *impl_;
  const SteadyTime limit =
      std::min(call.deadline(), std::chrono::steady_clock::now() + table.settings.load_timeout);
  std::shared_ptr<Engine> engine;
  std::optional<Waiting> waiting;
  bool waited = false;
  for (;;) {
    std::uint64_t seen = 0;
    {
      std::lock_guard lock(table.mutex);
      if (table.draining) throw draining_error();
      // Looked up once: whoever waits must not bring back what was forgotten or redefined meanwhile.
      if (!engine) engine = table.engine_of(model);
      if (engine->retired) {
        if (!table.engines.contains(model.id)) throw ApiError::model_not_found(model.id);
        throw ApiError::unavailable(engine_unavailable, "The model's definition has changed.")
            .with_retry_after(std::chrono::seconds(1));
      }
      const SteadyTime now = std::chrono::steady_clock::now();
      engine->last_used = now;
      if (engine->state == EngineState::ready) {
        ++table.leases;
        ++engine->instance->leases;
        auto instance = engine->instance;
        auto release = [&table, engine, instance] { table.release(engine, instance); };
        co_return std::make_unique<EngineLease>(std::move(release), std::move(instance));
      }
      if (engine->state == EngineState::backing_off && now < engine->retry_at) {
        throw ApiError::unavailable(engine_unavailable, engine->refusal)
            .with_retry_after(std::chrono::ceil<std::chrono::milliseconds>(engine->retry_at - now));
      }
      if (engine->state == EngineState::unloaded && waited && !engine->refusal.empty())
        throw ApiError::unavailable(engine_unavailable, engine->refusal)
            .with_retry_after(std::chrono::seconds(1));
      if (now >= limit)
        throw ApiError::unavailable(engine_unavailable, "The model could not be loaded in time.")
            .with_retry_after(std::chrono::seconds(5));
      if (engine->state == EngineState::unloaded || engine->state == EngineState::backing_off) {
        engine->state = EngineState::loading;
        engine->refusal.clear();
        table.wanted.push_back(engine);
        table.changed.announce();
      }
      waited = engine->state == EngineState::loading;
      if (!waiting) waiting.emplace(table.mutex, engine);
      seen = table.changed.generation();
    }
    co_await table.changed.wait(seen, limit);
  }
}

void Engines::forget(std::string_view model) {
  std::lock_guard lock(impl_->mutex);
  const auto found = impl_->engines.find(model);
  if (found == impl_->engines.end()) return;
  impl_->retire(found->second);
  impl_->engines.erase(found);
}

std::vector<EngineStatus> Engines::status() const {
  std::vector<EngineStatus> list;
  std::lock_guard lock(impl_->mutex);
  impl_->for_each([&](const std::shared_ptr<Engine>& engine) {
    list.push_back({.model = engine->model.id,
                    .state = std::string(state_name(engine->state)),
                    .memory_bytes = engine->memory,
                    .restarts = engine->restarts,
                    .leases = engine->instance ? engine->instance->leases : 0});
  });
  return list;
}

Task<void> Engines::run() {
  Impl& table = *impl_;
  async::Scope scope(co_await boost::asio::this_coro::executor);
  {
    std::lock_guard lock(table.mutex);
    table.running = true;
  }
  scope.spawn("watch engines", table.watch_memory());
  std::exception_ptr failure;
  try {
    for (;;) {
      Impl::Work work;
      std::uint64_t seen = 0;
      {
        std::lock_guard lock(table.mutex);
        if (table.ending) break;
        work = table.take_work(std::chrono::steady_clock::now());
        seen = table.changed.generation();
      }
      for (auto& engine : work.load)
        scope.spawn("load model", table.load(std::move(engine)));
      for (auto& engine : work.stop)
        scope.spawn("unload model", table.unload(std::move(engine)));
      co_await table.changed.wait(seen, work.next);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  scope.cancel();
  co_await scope.join();
  {
    std::lock_guard lock(table.mutex);
    table.running = false;
  }
  table.changed.announce();
  if (failure) std::rethrow_exception(failure);
}

Task<void> Engines::stop() {
  Impl& table = *impl_;
  const auto wait_for = [&table](auto reached) -> Task<void> {
    const SteadyTime begin = std::chrono::steady_clock::now();
    for (;;) {
      SteadyTime limit;
      std::uint64_t seen = 0;
      {
        std::lock_guard lock(table.mutex);
        limit = table.grace_end(begin);
        if (reached() || std::chrono::steady_clock::now() >= limit) co_return;
        seen = table.changed.generation();
      }
      co_await table.changed.wait(seen, limit);
    }
  };
  {
    std::lock_guard lock(table.mutex);
    table.draining = true;
  }
  table.changed.announce();
  co_await wait_for([&table] { return table.leases == 0; });
  {
    std::lock_guard lock(table.mutex);
    if (table.leases > 0) log::warn("engines stop under running requests", {{"requests", table.leases}});
    table.ending = true;
  }
  table.changed.announce();
  co_await wait_for([&table] { return !table.running; });

  std::vector<std::shared_ptr<Engine>> left;
  {
    std::lock_guard lock(table.mutex);
    table.for_each([&](const std::shared_ptr<Engine>& engine) {
      if (!engine->instance || !engine->instance->local) return;
      engine->state = EngineState::stopping;
      left.push_back(engine);
    });
  }
  async::Scope scope(co_await boost::asio::this_coro::executor);
  for (auto& engine : left)
    scope.spawn("end engine", table.unload(engine));
  co_await scope.join();
}

void Engines::hurry() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->hurried = true;
  }
  impl_->changed.announce();
}

}  // namespace hearth::engine
