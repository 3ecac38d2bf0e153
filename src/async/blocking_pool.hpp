// Threads for calls that block: files, DNS, libraries without an asynchronous interface.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "async/callback.hpp"

namespace hearth::async {

// Owned by app/; outlives all who use it. Thread: run() from any coroutine, post() from any thread; `work`
// runs on a thread of the pool.
class BlockingPool {
 public:
  explicit BlockingPool(std::size_t threads);
  // Waits for what has been started.
  ~BlockingPool();

  // `work()`'s result, or what it threw, in the awaiting coroutine. Cannot be cancelled once started.
  template <class Work>
  auto run(Work work) -> Task<std::invoke_result_t<Work&>> {
    using Result = std::invoke_result_t<Work&>;
    co_return co_await await_callback<Result>([this, work = std::move(work)](Resolver<Result> done) mutable {
      post([work = std::move(work), done = std::move(done)]() mutable {
        try {
          if constexpr (std::is_void_v<Result>) {
            work();
            done(Outcome<void>());
          } else {
            done(work());
          }
        } catch (...) {
          done(std::unexpected(std::current_exception()));
        }
      });
    });
  }

  // `work()`, which throws nothing, with nobody waiting for it: what destructors have to leave behind.
  void post(std::move_only_function<void()> work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::async
