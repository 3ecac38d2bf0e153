#include "async/runtime.hpp"

#include <exception>

#include <boost/asio/co_spawn.hpp>

namespace hearth::async {

Runtime::Runtime(std::size_t threads) {
  for (std::size_t i = 0; i < threads; ++i)
    loops_.push_back(std::make_unique<Loop>());
}

Runtime::~Runtime() {
  stop();
  threads_.clear();
}

Executor Runtime::executor(std::size_t index) const {
  return loops_[index]->context.get_executor();
}

Executor Runtime::next_executor() {
  return executor(next_.fetch_add(1, std::memory_order_relaxed) % loops_.size());
}

void Runtime::start() {
  for (std::size_t i = 1; i < loops_.size(); ++i) {
    threads_.emplace_back([loop = loops_[i].get()] { loop->context.run(); });
  }
}

void Runtime::run() {
  loops_[0]->context.run();
}

void Runtime::stop() {
  for (auto& loop : loops_)
    loop->context.stop();
}

void Runtime::run_until_complete(Task<void> task) {
  bool done = false;
  std::exception_ptr failure;
  boost::asio::co_spawn(loops_[0]->context, std::move(task), [&](std::exception_ptr thrown) {
    failure = thrown;
    done = true;
  });
  while (!done && loops_[0]->context.run_one() > 0) {
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace hearth::async
