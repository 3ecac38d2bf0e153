// One timer per io loop for the deadlines of all its connections.
//
// A deadline is set and dropped several times per request; a timer of its own for each would cost more than
// the request. Here setting one is a store and a list link: the loop's single timer sleeps until the earliest
// deadline it has seen and then looks through what is armed. A deadline is noticed at most 10 ms late.
#pragma once

#include <chrono>
#include <optional>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>

#include "async/task.hpp"

namespace hearth::net {

using TimePoint = std::chrono::steady_clock::time_point;

// A service of the io_context: made on first use, dies with the loop. Thread: the loop's.
class Watchdog final : public boost::asio::execution_context::service {
 public:
  using key_type = Watchdog;
  static boost::asio::execution_context::id id;

  // Something with a deadline. Linked only while armed, so a disarmed one may die on any thread.
  class Entry
      : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
   public:
    void disarm() { unlink(); }
    bool armed() const { return is_linked(); }

   protected:
    ~Entry() = default;

   private:
    friend class Watchdog;
    // Called once, already disarmed. Must not resume coroutines itself: cancelling an operation is fine.
    virtual void on_deadline() = 0;
    TimePoint deadline_;
  };

  explicit Watchdog(boost::asio::execution_context& context);
  static Watchdog& of(const async::Executor& executor);

  void arm(Entry& entry, TimePoint deadline);

 private:
  void shutdown() override;
  void set_timer(TimePoint when);
  void look_through();

  using Entries = boost::intrusive::list<Entry, boost::intrusive::constant_time_size<false>>;
  Entries entries_;
  std::optional<boost::asio::steady_timer> timer_;
  TimePoint next_look_ = TimePoint::max();
};

}  // namespace hearth::net
