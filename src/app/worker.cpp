#include "app/worker.hpp"

#include <csignal>
#include <stdexcept>

#include <boost/asio/signal_set.hpp>

#include "app/background.hpp"
#include "app/data_directory.hpp"
#include "async/blocking_pool.hpp"
#include "async/runtime.hpp"
#include "base/log.hpp"
#include "store/blobs/directory_blobs.hpp"

namespace hearth::app {
namespace {

constexpr std::size_t blob_threads = 2;

Task<void> work(jobs::Runner& runner) {
  boost::asio::signal_set signals(co_await boost::asio::this_coro::executor, SIGTERM, SIGINT);
  runner.start();
  const int signal = co_await signals.async_wait(boost::asio::use_awaitable);
  log::info("draining", {{"signal", signal}});
  co_await runner.stop();
}

}  // namespace

void run_worker(const Config& config) {
  std::signal(SIGPIPE, SIG_IGN);
  if (!database_exists(config))
    throw std::runtime_error("there is no database yet: the first start of hearth serve makes it");
  if (config.jobs.places == 0) throw std::runtime_error("jobs.places is 0: this worker would run nothing");
  Clock clock;
  IdSource ids(clock);
  async::Runtime runtime(1);
  const auto database = open_database(config);  // answers on the runtime's executor: it dies first
  async::BlockingPool blob_work(blob_threads);
  store::DirectoryBlobs blobs(config.blobs.path, blob_work, ids);
  Background background(config, runtime.executor(0), *database, blobs, clock, ids);
  log::info("working", {{"places", config.jobs.places}});
  runtime.run_until_complete(work(background.runner()));
  log::info("stopped");
}

}  // namespace hearth::app
