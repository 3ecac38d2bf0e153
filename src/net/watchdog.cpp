#include "net/watchdog.hpp"

#include <algorithm>

#include <boost/asio/query.hpp>

namespace hearth::net {
namespace {
constexpr std::chrono::milliseconds coarseness{10};
}

boost::asio::execution_context::id Watchdog::id;

Watchdog::Watchdog(boost::asio::execution_context& context)
    : service(context), timer_(static_cast<boost::asio::io_context&>(context)) {}

Watchdog& Watchdog::of(const async::Executor& executor) {
  return boost::asio::use_service<Watchdog>(boost::asio::query(executor, boost::asio::execution::context));
}

void Watchdog::arm(Entry& entry, TimePoint deadline) {
  entry.deadline_ = deadline;
  if (!entry.is_linked()) entries_.push_back(entry);
  if (deadline + coarseness <= next_look_) set_timer(deadline);
}

void Watchdog::shutdown() {
  entries_.clear();
  timer_.reset();
}

void Watchdog::set_timer(TimePoint when) {
  next_look_ = when;
  timer_->expires_at(when);
  timer_->async_wait([this](const boost::system::error_code& error) {
    if (!error) look_through();
  });
}

void Watchdog::look_through() {
  const auto now = std::chrono::steady_clock::now();
  auto earliest = TimePoint::max();
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = *it++;
    if (entry.deadline_ <= now) {
      entry.unlink();
      entry.on_deadline();
    } else {
      earliest = std::min(earliest, entry.deadline_);
    }
  }
  next_look_ = TimePoint::max();
  if (earliest != TimePoint::max()) set_timer(std::max(earliest, now + coarseness));
}

}  // namespace hearth::net
