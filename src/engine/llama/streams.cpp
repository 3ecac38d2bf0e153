#include "engine/llama/streams.hpp"

#include <algorithm>
#include <exception>

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace hearth::engine::llama {
namespace {

struct SharedWork {
  std::size_t count;
  std::function<Task<void>(std::size_t)> work;
  std::size_t next = 0;
  std::exception_ptr failure;
};

Task<void> take_work(SharedWork& shared) {
  try {
    while (shared.next < shared.count)
      co_await shared.work(shared.next++);
  } catch (...) {
    shared.next = shared.count;
    if (!shared.failure) shared.failure = std::current_exception();
  }
}

Task<void> all_of(SharedWork& shared, std::size_t workers) {
  using namespace boost::asio::experimental::awaitable_operators;
  if (workers <= 1) {
    co_await take_work(shared);
  } else {
    co_await (take_work(shared) && all_of(shared, workers - 1));
  }
}

}  // namespace

Task<void> run_side_by_side(std::size_t count, std::size_t width,
                            std::function<Task<void>(std::size_t)> work) {
  SharedWork shared{count, std::move(work), 0, nullptr};
  co_await all_of(shared, std::min(count, std::max<std::size_t>(1, width)));
  if (shared.failure) std::rethrow_exception(shared.failure);
}

MergedStream::MergedStream(std::size_t choices, std::size_t choices_per_prompt, std::size_t slots,
                           MakeChoice make)
    : make_(std::move(make)),
      choices_(choices),
      choices_per_prompt_(choices_per_prompt),
      slots_(std::max<std::size_t>(1, slots)) {}

Task<void> MergedStream::begin() {
  begun_ = std::min(choices_, slots_);
  for (std::size_t i = 0; i < begun_; ++i)
    open_.push_back({i, make_(i)});
  co_await run_side_by_side(begun_, begun_, [this](std::size_t i) { return open_[i].stream->open(); });
}

void MergedStream::count(const Open& ended) {
  const Usage usage = ended.stream->usage();
  usage_.completion += usage.completion;
  if (ended.number % choices_per_prompt_ != 0) return;
  usage_.prompt += usage.prompt;
  usage_.cached += usage.cached;
}

Task<const Delta*> MergedStream::next() {
  if (handed_out_ == ready_.view().size()) {
    handed_out_ = 0;
    ready_.clear();
  }
  while (ready_.empty() && !open_.empty()) {
    if (turn_ >= open_.size()) turn_ = 0;
    Open& current = open_[turn_];
    co_await current.stream->read(ready_);
    if (!ready_.empty()) {
      ++turn_;
      continue;
    }
    count(current);
    if (begun_ < choices_) {
      const std::size_t number = begun_++;
      current = Open{number, make_(number)};
      co_await current.stream->open();
    } else {
      open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(turn_));
    }
  }
  if (!ready_.empty()) co_return &ready_.view()[handed_out_++];
  total_ = to_token_usage(usage_);
  co_return nullptr;
}

}  // namespace hearth::engine::llama
