// Bringing engines up and taking them down: memory, processes, crashes.
#include <algorithm>

#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include "async/deadline.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"
#include "engine/engine_table.hpp"

namespace hearth::engine {
namespace {

using namespace std::chrono_literals;
using Blame = LoadFailure::Blame;

constexpr std::string_view load_failed_message = "The model could not be loaded; the server's log says why.";
constexpr std::string_view crashed_message = "The model's engine has failed and is being restarted.";

double mebibytes(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1024.0 * 1024.0);
}

LoadFailure failure_of(const LocalEngine::Failed& failed) {
  using How = LocalEngine::Failed::How;
  const std::string message(failed.how == How::slow ? "The model could not be loaded in time."
                                                    : load_failed_message);
  return {failed.how == How::unwanted ? Blame::circumstances : Blame::engine, message, failed.what()};
}

// The engine was retired while it loaded.
LoadFailure no_longer_wanted() {
  return {Blame::circumstances, std::string(load_failed_message), "the model was deleted or redefined"};
}

}  // namespace

Task<void> Engines::Impl::load(std::shared_ptr<Engine> engine) {
  try {
    co_await bring_up(engine);
  } catch (const LoadFailure& failure) {
    load_failed(*engine, failure.blame, failure.client_message, failure.what());
  } catch (const LocalEngine::Failed& failed) {
    const LoadFailure failure = failure_of(failed);
    load_failed(*engine, failure.blame, failure.client_message, failure.what());
  } catch (const boost::system::system_error& error) {
    // Cancelled by stop(), or the machine refuses: either way nothing of the engine's own.
    load_failed(*engine, Blame::circumstances, std::string(load_failed_message), error.what());
  } catch (const std::exception& error) {
    load_failed(*engine, Blame::engine, std::string(load_failed_message), error.what());
  }
}

Task<void> Engines::Impl::bring_up(std::shared_ptr<Engine> engine) {
  const Model& model = engine->model;
  const ChildAdapter& adapter = *find_child_adapter(*model.engine);
  const SteadyTime begin = std::chrono::steady_clock::now();
  const SteadyTime limit = begin + settings.load_timeout;
  const auto program = settings.programs.find(model.engine->kind());
  if (program == settings.programs.end() || program->second.empty())
    throw LoadFailure(
        Blame::engine, "This server has no engine for local models.",
        fmt::format("no program is configured for engines of the kind {}", model.engine->kind()));

  std::uint64_t launch_number = 0;
  {
    std::lock_guard lock(mutex);
    launch_number = ++launches;
  }
  const LaunchOrder order{
      .model = model.id,
      .capabilities = model.capabilities,
      .program = program->second,
      .socket_path = socket_path_of(settings.run_directory, launch_number),
      .log_file = fmt::format("{}/engine-{}.log", settings.run_directory, file_name_of(model.id))};
  LaunchPlan plan = co_await blocking.run([&] { return adapter.plan(order); });
  co_await reserve(engine, model.memory_bytes > 0 ? model.memory_bytes : plan.memory_bytes, limit);

  auto instance = std::make_shared<Instance>();
  instance->local = std::make_shared<LocalEngine>(adapter, order, plan, changed);
  auto ended = [this, weak_engine = std::weak_ptr(engine), weak_instance = std::weak_ptr(instance)] {
    child_ended(weak_engine, weak_instance);
  };
  co_await LocalEngine::launch(instance->local, std::move(plan.child), host, blocking, std::move(ended));
  auto is_wanted = [this, engine] {
    std::lock_guard lock(mutex);
    return !engine->retired;
  };
  co_await instance->local->wait_until_ready(limit, std::move(is_wanted));

  std::lock_guard lock(mutex);
  if (const auto exit = instance->local->exit())
    throw LoadFailure(Blame::engine, std::string(load_failed_message), exit->describe());
  if (engine->retired) throw no_longer_wanted();
  if (const auto missing = find_missing_task(instance->backend(), model.capabilities))
    throw LoadFailure(Blame::engine, std::string(load_failed_message),
                      fmt::format("its engine has no {}", capability_name(*missing)));
  engine->instance = std::move(instance);
  engine->state = EngineState::ready;
  engine->restart = false;
  engine->ready_since = engine->last_used = std::chrono::steady_clock::now();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(engine->ready_since - begin);
  log::info("engine ready", {{"model", model.id},
                             {"pid", engine->instance->local->pid()},
                             {"load_ms", took.count()},
                             {"memory_mib", mebibytes(engine->memory)}});
  changed.announce();
}

Task<void> Engines::Impl::reserve(std::shared_ptr<Engine> engine, std::uint64_t bytes, SteadyTime limit) {
  if (bytes > budget) {
    throw LoadFailure(
        Blame::circumstances, "The model needs more memory than this server may use.",
        fmt::format(
            "it needs {:.0f} MiB and the budget is {:.0f} MiB: give it a smaller context or fewer slots, "
            "or raise the budget",
            mebibytes(bytes), mebibytes(budget)));
  }
  for (;;) {
    std::shared_ptr<Engine> victim;
    std::uint64_t seen = 0;
    {
      std::lock_guard lock(mutex);
      if (engine->retired) throw no_longer_wanted();
      std::uint64_t used = 0;
      for_each([&](const std::shared_ptr<Engine>& other) {
        used += other->memory;
        const bool evictable = other->state == EngineState::ready && other->instance->local &&
                               other->instance->leases == 0 && other->waiting == 0;
        if (evictable && (!victim || other->last_used < victim->last_used)) victim = other;
      });
      if (used + bytes <= budget) {
        engine->memory = bytes;
        co_return;
      }
      if (victim) victim->state = EngineState::stopping;
      seen = changed.generation();
    }
    if (victim) {
      log::info("engine makes room", {{"model", victim->model.id}, {"for", engine->model.id}});
      co_await unload(victim);
      continue;
    }
    if (std::chrono::steady_clock::now() >= limit)
      throw LoadFailure(Blame::circumstances, "The server's memory is taken by models that are in use.",
                        "no engine without requests could make room in time");
    struct Watch {
      Impl& table;
      explicit Watch(Impl& t) : table(t) {
        std::lock_guard lock(table.mutex);
        ++table.watching_releases;
      }
      ~Watch() {
        std::lock_guard lock(table.mutex);
        --table.watching_releases;
      }
    } watch(*this);
    // A lease that ended just before the watch began is seen at the next look.
    co_await changed.wait(seen, std::min(limit, std::chrono::steady_clock::now() + 100ms));
  }
}

Task<void> Engines::Impl::watch_memory() {
  for (;;) {
    co_await async::sleep_for(settings.memory_check);
    std::vector<std::pair<std::string, std::shared_ptr<LocalEngine>>> running;
    {
      std::lock_guard lock(mutex);
      for_each([&](const std::shared_ptr<Engine>& engine) {
        if (engine->state == EngineState::ready && engine->instance->local)
          running.emplace_back(engine->model.id, engine->instance->local);
      });
    }
    if (running.empty()) continue;
    co_await blocking.run([&running] {
      for (const auto& [model, local] : running) {
        if (const auto memory = local->end_when_outgrown())
          log::error("engine outgrew its memory", {{"model", model}, {"memory_mib", mebibytes(*memory)}});
      }
    });
  }
}

Task<void> Engines::Impl::unload(std::shared_ptr<Engine> engine) {
  std::shared_ptr<Instance> instance;
  {
    std::lock_guard lock(mutex);
    instance = engine->instance;
  }
  if (instance) co_await end_process(instance);
  {
    std::lock_guard lock(mutex);
    engine->instance = nullptr;
    engine->memory = 0;
    engine->failures = 0;
    engine->refusal.clear();
    engine->state = EngineState::unloaded;
  }
  log::info("engine unloaded", {{"model", engine->model.id}});
  changed.announce();
}

Task<void> Engines::Impl::end_process(std::shared_ptr<Instance> instance) {
  auto limit_of = [this](SteadyTime begin) {
    std::lock_guard lock(mutex);
    return grace_end(begin);
  };
  if (!co_await instance->local->stop(std::move(limit_of)))
    log::error("engine does not end", {{"pid", instance->local->pid()}});
}

void Engines::Impl::child_ended(const std::weak_ptr<Engine>& weak_engine,
                                const std::weak_ptr<Instance>& weak_instance) {
  const auto engine = weak_engine.lock();
  const auto instance = weak_instance.lock();
  if (!engine || !instance) return;
  std::lock_guard lock(mutex);
  if (engine->state != EngineState::ready || engine->instance != instance) return;
  log::error("engine crashed", {{"model", engine->model.id},
                                {"cause", instance->local->exit()->describe()},
                                {"requests", instance->leases},
                                {"last_words", instance->local->last_lines()}});
  if (std::chrono::steady_clock::now() - engine->ready_since >= settings.stable_after) engine->failures = 0;
  engine->instance = nullptr;  // its leases hold it; their requests end with the connection
  engine->memory = 0;
  ++engine->restarts;
  engine->refusal = crashed_message;
  engine->restart = true;
  back_off(*engine);
}

void Engines::Impl::load_failed(Engine& engine, Blame blame, std::string client_message,
                                std::string_view cause) {
  {
    std::lock_guard lock(mutex);
    if (!ending && !engine.retired)
      log::error("engine did not load", {{"model", engine.model.id}, {"cause", cause}});
    engine.memory = 0;
    engine.refusal = std::move(client_message);
    if (blame == Blame::engine) {
      back_off(engine);
    } else {
      engine.state = EngineState::unloaded;
    }
  }
  changed.announce();
}

void Engines::Impl::back_off(Engine& engine) {
  constexpr unsigned most_doublings = 16;
  const auto delay = std::min<std::chrono::milliseconds>(
      settings.restart_delay * (1LL << std::min(engine.failures, most_doublings)),
      settings.restart_delay_most);
  ++engine.failures;
  engine.state = EngineState::backing_off;
  engine.retry_at = std::chrono::steady_clock::now() + delay;
}

}  // namespace hearth::engine
