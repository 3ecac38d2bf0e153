// The io threads: one io_context each, each single-threaded.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "async/task.hpp"

namespace hearth::async {

// Owned by app/. start() and stop() from the thread that made it; the rest from any.
class Runtime {
 public:
  explicit Runtime(std::size_t threads);
  ~Runtime();
  Runtime(const Runtime&) = delete;

  std::size_t size() const { return loops_.size(); }
  Executor executor(std::size_t index) const;
  // Round robin: where the next connection or service goes.
  Executor next_executor();

  // Loop 0 runs on the calling thread in run(), the others on threads of their own.
  void start();
  void run();
  // Ends the loops as soon as the handlers that run now return; what still waits is dropped.
  void stop();

  // Runs `task` on loop 0 until it ends, driving the loop on this thread: for command-line programs and
  // tests.
  void run_until_complete(Task<void> task);

 private:
  struct Loop {
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
  };
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::jthread> threads_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace hearth::async
