// The running engines: loads a model's backend on first use, keeps it while it is wanted, unloads it when
// idle or when another needs the memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/blocking_pool.hpp"
#include "engine/backend.hpp"
#include "engine/catalogue/model.hpp"

namespace hearth::engine {

struct EngineSettings {
  // Paths of programs, by the kind of engine that runs them; models whose kind has none cannot be loaded.
  std::map<std::string, std::string, std::less<>> programs;
  std::string run_directory;        // sockets and engine logs; mode 0700
  std::uint64_t memory_budget = 0;  // bytes for all local engines together; 0 = half of the machine's memory
  std::chrono::milliseconds idle_unload{15 * 60'000};  // 0 = never
  std::chrono::milliseconds load_timeout{5 * 60'000};
  std::chrono::milliseconds stop_grace{10'000};  // between drain, TERM and KILL
  // After a crash or a failed load the engine rests: twice as long after each one in a row, up to the most.
  // An engine that held for `stable_after` begins anew.
  std::chrono::milliseconds restart_delay{1'000};
  std::chrono::milliseconds restart_delay_most{60'000};
  std::chrono::milliseconds stable_after{60'000};
  std::chrono::milliseconds memory_check{2'000};  // how often the engines' memory is looked at
};

// Holds a loaded backend: it is neither unloaded nor evicted while a lease lives.
class Lease {
 public:
  virtual ~Lease() = default;
  virtual Backend& backend() = 0;
};

struct EngineStatus {
  std::string model;
  std::string state;  // unloaded | loading | ready | backing_off | stopping
  std::uint64_t memory_bytes = 0;
  std::uint64_t restarts = 0;
  std::size_t leases = 0;
};

// Owned by app/; outlives its leases. Thread: any. Local models load only while run() runs.
class Engines {
 public:
  Engines(async::BlockingPool& blocking, EngineSettings settings);
  ~Engines();

  // Waits for the load where one is needed; everyone who asks meanwhile waits for the same one. Throws
  // ApiError 503 when the engine cannot be had in time, is backing off after crashes, the memory budget
  // cannot hold it or the model is redefined meanwhile; 404 when it is forgotten meanwhile. A model whose
  // definition has changed since the last call gets a new engine.
  Task<std::unique_ptr<Lease>> acquire(const Model& model, const CallContext& call);

  // The model was deleted: its engine stops once its leases are gone, at once when it still loads.
  void forget(std::string_view model);
  std::vector<EngineStatus> status() const;

  // Runs supervision (loads, idle unload, restart of crashed engines that are still wanted) until stop().
  Task<void> run();
  // From now on acquire() answers 503. Waits for the leases, at most `stop_grace`, then ends all children.
  Task<void> stop();
  // Cuts the waits of a stop(), one that runs or one to come, to what killing the children takes.
  void hurry();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::engine
