// Engine processes: started, watched, logged and ended. They die with us, whatever ends us.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace hearth::engine {

struct ChildSpec {
  std::string program;
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours
  std::vector<std::string> withheld;        // variables of ours whose names begin so are not passed on
  std::string log_file;                     // holds both of its outputs
  std::size_t log_bytes = 4 * 1024 * 1024;  // above that the file becomes `<log_file>.1` and begins anew
};

struct ChildExit {
  int code = 0;    // what it returned, when no signal ended it
  int signal = 0;  // what ended it, or 0
  std::string describe() const;
};

class ChildProcess;

// The thread that starts the children, collects their output and waits for their end. It must outlive them
// all, because Linux ties a child's "die with the parent" to the thread that forked it.
//
// Owned by Engines. Thread: any.
class ChildHost {
 public:
  using OnExit = std::function<void(const ChildExit&)>;

  ChildHost();
  // Kills what still runs and waits for it.
  ~ChildHost();
  ChildHost(const ChildHost&) = delete;

  // Blocks for the fork and the exec: call it on the blocking pool. `on_exit` is called once, on the host's
  // own thread, and must not block. Throws std::runtime_error that names the program and the cause.
  std::unique_ptr<ChildProcess> start(ChildSpec spec, OnExit on_exit);

 private:
  friend class ChildProcess;
  struct Child;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A started process, in a process group of its own; of our open files it has none. Thread: any.
class ChildProcess {
 public:
  explicit ChildProcess(std::shared_ptr<ChildHost::Child> child);
  // Kills the process when it still runs; the host collects it.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;

  pid_t pid() const;
  bool running() const;
  // Nothing happens once it has ended.
  void send(int signal);
  // The last lines of its output: why it failed, in its own words.
  std::string last_lines() const;

 private:
  std::shared_ptr<ChildHost::Child> child_;  // shared with the host's thread, which still reads its output
};

}  // namespace hearth::engine
