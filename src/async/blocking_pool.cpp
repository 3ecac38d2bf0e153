#include "async/blocking_pool.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

namespace hearth::async {

struct BlockingPool::Impl {
  boost::asio::thread_pool threads;
};

BlockingPool::BlockingPool(std::size_t threads) : impl_(new Impl{boost::asio::thread_pool(threads)}) {}

BlockingPool::~BlockingPool() {
  impl_->threads.join();
}

void BlockingPool::post(std::move_only_function<void()> work) {
  boost::asio::post(impl_->threads, std::move(work));
}

}  // namespace hearth::async
