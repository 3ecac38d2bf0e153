// What one kind of engine must say so that LocalEngine can run it as a child of this process.
//
// The child listens on a UNIX socket. Everything else (when it starts, how much memory all may take, what
// happens when it crashes, hangs or idles) is the same for every kind and stands in local_engine and engines.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "async/task.hpp"
#include "engine/backend.hpp"
#include "engine/capability.hpp"
#include "engine/process/child_process.hpp"

namespace hearth::engine {

struct LaunchOrder {
  std::string model;                  // the name that messages to the client use
  std::set<Capability> capabilities;  // empty: what the files say
  std::string program;                // what the settings name for this kind
  std::string socket_path;            // ends in .sock; nothing is there yet
  std::string log_file;
};

struct LaunchPlan {
  ChildSpec child;
  std::uint64_t memory_bytes = 0;  // what the engine takes when it is loaded
  // Memory of its own (not of files that it maps) above which it has run away and is killed; 0 = not watched.
  std::uint64_t memory_most = 0;
  std::set<Capability> capabilities;
};

// Immutable; part of an EngineSpec. Thread: any.
class ChildAdapter {
 public:
  virtual ~ChildAdapter() = default;
  // Program, arguments, environment, memory. Blocks on the disk. Throws std::runtime_error with a sentence
  // for the log.
  virtual LaunchPlan plan(const LaunchOrder& order) const = 0;
  // Whether the child listens and has loaded its model; asked again and again after the launch. Throws
  // nothing but cancellation.
  virtual Task<bool> is_up(const std::string& socket_path) const = 0;
  // The engine as it is seen from above; its probe() must make the child compute something real.
  virtual std::unique_ptr<Backend> connect(const LaunchOrder& order,
                                           const std::set<Capability>& capabilities) const = 0;
};

// For children that speak HTTP: whether GET `path` is answered with 200.
Task<bool> answers_get(const std::string& socket_path, std::string_view path);

}  // namespace hearth::engine
