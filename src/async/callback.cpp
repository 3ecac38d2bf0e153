#include "async/callback.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace hearth::async::detail {
namespace {

template <class Handler>
class SuspendedHandler final : public Suspended {
 public:
  explicit SuspendedHandler(Handler handler)
      : handler_(std::move(handler)), work_(boost::asio::make_work_guard(handler_)) {}

  void resume() override { boost::asio::post(work_.get_executor(), std::move(handler_)); }

 private:
  Handler handler_;
  boost::asio::executor_work_guard<boost::asio::associated_executor_t<Handler>> work_;
};

}  // namespace

Task<void> suspend(Suspension& suspension) {
  auto initiate = [&suspension]<class Handler>(Handler&& handler) {
    suspension.begin(
        std::make_unique<SuspendedHandler<std::decay_t<Handler>>>(std::forward<Handler>(handler)));
  };
  co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
      initiate, boost::asio::use_awaitable);
}

}  // namespace hearth::async::detail
