#include "app/readiness.hpp"

#include <algorithm>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include "async/deadline.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"

namespace hearth::app {
namespace {

using namespace std::chrono_literals;

constexpr auto first_pause = 500ms;
constexpr auto longest_pause = 30'000ms;
constexpr auto probe_time = 10min;  // a large model loads that long from a slow disk
constexpr auto look_again = 1s;

std::uint64_t restarts_of(const engine::Engines& engines, std::string_view model) {
  for (const auto& status : engines.status()) {
    if (status.model == model) return status.restarts;
  }
  return 0;
}

}  // namespace

const engine::Model* first_for_everyone(const std::vector<engine::Model>& models) {
  const auto found = std::ranges::find_if(models, [](const engine::Model& model) { return !model.project; });
  return found == models.end() ? nullptr : &*found;
}

Task<void> watch_readiness(api::ProcessState& process, domain::ModelDirectory& directory,
                           engine::Engines& engines, std::string default_model, const Clock& clock) {
  std::chrono::milliseconds pause = first_pause;
  while (true) {
    std::string cause;
    std::string model_id;
    try {
      const auto snapshot = co_await directory.current();
      const auto& models = snapshot->models();
      const engine::Model* model =
          default_model.empty() ? first_for_everyone(models) : snapshot->find(default_model, ProjectId());
      if (!model) throw ApiError::model_not_found(default_model.empty() ? "(none)" : default_model);
      model_id = model->id;
      engine::CallContext call("readiness", clock.steady_now() + probe_time);
      auto lease = co_await engines.acquire(*model, call);
      co_await lease->backend().probe(call);
    } catch (const boost::system::system_error& error) {
      if (error.code() == boost::asio::error::operation_aborted) throw;
      cause = error.what();
    } catch (const std::exception& error) {
      cause = error.what();
    }
    if (!cause.empty()) {
      log::warn("not ready", {{"cause", cause}});
      co_await async::sleep_for(pause);
      pause = std::min<std::chrono::milliseconds>(pause * 2, longest_pause);
      continue;
    }
    pause = first_pause;
    process.ready = true;
    log::info("ready", {{"model", model_id}});
    const auto restarts = restarts_of(engines, model_id);
    while (restarts_of(engines, model_id) == restarts)
      co_await async::sleep_for(look_again);
    process.ready = false;
    log::warn("not ready", {{"cause", "the default model's engine was restarted"}});
  }
}

}  // namespace hearth::app
