#include "async/scope.hpp"

#include <cassert>
#include <exception>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include "base/log.hpp"

namespace hearth::async {

struct Scope::State {
  struct Child {
    std::string name;
    boost::asio::cancellation_signal signal;
  };
  explicit State(Executor ex) : executor(std::move(ex)), empty(executor) {}

  Executor executor;
  std::list<Child> children;
  boost::asio::steady_timer empty;  // cancelled when the last child ends
};

namespace {

bool is_cancellation(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    return error.code() == boost::asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

std::string describe(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown";
  }
}

}  // namespace

Scope::Scope(Executor executor) : state_(std::make_shared<State>(std::move(executor))) {}

Scope::~Scope() {
  assert(state_->children.empty() && "join() a scope before it dies");
}

void Scope::spawn(std::string_view name, Task<void> child) {
  auto entry = state_->children.emplace(state_->children.end());
  entry->name = name;
  boost::asio::co_spawn(state_->executor, std::move(child),
                        boost::asio::bind_cancellation_slot(
                            entry->signal.slot(), [state = state_, entry](std::exception_ptr thrown) {
                              if (thrown && !is_cancellation(thrown)) {
                                log::error("task failed",
                                           {{"task", entry->name}, {"cause", describe(thrown)}});
                              }
                              // The signal must not die while it is emitting (a child may end inside
                              // cancel()).
                              boost::asio::post(state->executor, [state, entry] {
                                state->children.erase(entry);
                                if (state->children.empty()) state->empty.cancel();
                              });
                            }));
}

void Scope::cancel() {
  for (auto& child : state_->children)
    child.signal.emit(boost::asio::cancellation_type::terminal);
}

Task<void> Scope::join() {
  // The joiner may itself be cancelled; it still owes the children their wait.
  co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::disable_cancellation());
  while (!state_->children.empty()) {
    state_->empty.expires_at(boost::asio::steady_timer::time_point::max());
    co_await state_->empty.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
}

std::size_t Scope::size() const {
  return state_->children.size();
}

const Executor& Scope::executor() const {
  return state_->executor;
}

}  // namespace hearth::async
