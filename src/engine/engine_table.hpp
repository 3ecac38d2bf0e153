// The state behind Engines. Included by engines.cpp and engine_loading.cpp only.
//
// Everything that changes lives under one mutex, which is never held across a co_await; whoever waits for a
// change waits on `changed`. Loads and stops run as children of run()'s scope.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/change.hpp"
#include "engine/engines.hpp"
#include "engine/process/local_engine.hpp"

namespace hearth::engine {

enum class EngineState { unloaded, loading, ready, backing_off, stopping };

// What a lease holds on to. It stays alive, though dead, when its process has crashed.
struct Instance {
  Backend& backend() { return local ? local->backend() : *remote; }

  // One of the two.
  std::shared_ptr<LocalEngine> local;  // shared with the report of its end
  std::unique_ptr<Backend> remote;
  std::size_t leases = 0;  // under the table's mutex
};

// One definition of one model. All of it but `model` is under the table's mutex.
struct Engine {
  explicit Engine(Model definition) : model(std::move(definition)) {}
  const Model model;
  EngineState state = EngineState::unloaded;
  std::shared_ptr<Instance> instance;  // while ready or stopping; shared with leases
  std::uint64_t memory = 0;            // reserved from the budget
  std::uint64_t restarts = 0;
  unsigned failures = 0;  // in a row
  SteadyTime retry_at{};
  SteadyTime ready_since{};
  SteadyTime last_used{};
  bool restart = false;     // it crashed at work: started again without being asked
  std::string refusal;      // what those who wait are told when the load fails
  bool retired = false;     // deleted or redefined: its load is given up, or it ends when its leases are gone
  std::size_t waiting = 0;  // callers of acquire() that have no lease yet: it is not evicted under them
};

// A load that cannot succeed now. `blame` decides whether the engine backs off.
struct LoadFailure : std::runtime_error {
  enum class Blame { engine, circumstances };
  LoadFailure(Blame who, std::string for_client, const std::string& for_log)
      : std::runtime_error(for_log), blame(who), client_message(std::move(for_client)) {}
  Blame blame;
  std::string client_message;
};

struct Engines::Impl {
  Impl(async::BlockingPool& blocking, EngineSettings settings);

  // ---- engines.cpp: callers hold the mutex unless it says otherwise
  std::shared_ptr<Engine> engine_of(const Model& model);
  void retire(const std::shared_ptr<Engine>& engine);
  void release(const std::shared_ptr<Engine>& engine, const std::shared_ptr<Instance>& instance);  // locks
  // Until when to wait for something that began to end at `begin`.
  SteadyTime grace_end(SteadyTime begin) const;
  void for_each(const std::function<void(const std::shared_ptr<Engine>&)>& visit) const;
  // What has to be done now; returns when to look again.
  struct Work {
    std::vector<std::shared_ptr<Engine>> load;
    std::vector<std::shared_ptr<Engine>> stop;
    SteadyTime next;
  };
  Work take_work(SteadyTime now);

  // ---- engine_loading.cpp: all of them lock by themselves
  Task<void> load(std::shared_ptr<Engine> engine);
  Task<void> bring_up(std::shared_ptr<Engine> engine);
  // Takes `bytes` from the budget, unloading others for it.
  Task<void> reserve(std::shared_ptr<Engine> engine, std::uint64_t bytes, SteadyTime limit);
  // Ends, again and again, what has outgrown its bound; until it is cancelled.
  Task<void> watch_memory();
  // Ends the process of an engine whose state is already `stopping`.
  Task<void> unload(std::shared_ptr<Engine> engine);
  Task<void> end_process(std::shared_ptr<Instance> instance);
  void child_ended(const std::weak_ptr<Engine>& engine, const std::weak_ptr<Instance>& instance);
  void load_failed(Engine& engine, LoadFailure::Blame blame, std::string client_message,
                   std::string_view cause);
  void back_off(Engine& engine);  // caller holds the mutex

  async::BlockingPool& blocking;
  const EngineSettings settings;
  const std::uint64_t budget;
  Change changed;

  mutable std::mutex mutex;
  std::map<std::string, std::shared_ptr<Engine>, std::less<>> engines;  // shared with leases and loads
  std::vector<std::shared_ptr<Engine>> retired;
  std::vector<std::shared_ptr<Engine>> wanted;  // to be loaded, in the order they were asked for
  std::size_t leases = 0;
  std::size_t watching_releases = 0;  // someone waits for a lease to end
  std::uint64_t launches = 0;
  bool draining = false;
  bool hurried = false;
  bool ending = false;
  bool running = false;

  ChildHost host;  // last: its end reports exits to the members above
};

}  // namespace hearth::engine
