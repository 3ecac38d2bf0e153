// Bringing engines up and taking them down: memory, processes, health, crashes.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include "async/deadline.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"
#include "engine/catalogue/gguf_info.hpp"
#include "engine/engine_table.hpp"
#include "engine/llama/backend.hpp"
#include "engine/llama/launch.hpp"
#include "net/http_client.hpp"

namespace hearth::engine {
namespace {

using namespace std::chrono_literals;
using Blame = LoadFailure::Blame;

constexpr std::size_t longest_socket_path = 107;  // what the kernel's address holds

constexpr std::string_view load_failed_message = "The model could not be loaded; the server's log says why.";
constexpr std::string_view crashed_message = "The model's engine has failed and is being restarted.";

double mebibytes(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1024.0 * 1024.0);
}

// The engine was retired while it loaded.
LoadFailure no_longer_wanted() {
  return {Blame::circumstances, std::string(load_failed_message), "the model was deleted or redefined"};
}

constexpr std::string_view socket_prefix = "engine-";
constexpr std::string_view socket_suffix = ".sock";

// Our process's id is in it: two servers may share a data directory.
std::string socket_path_of(const std::string& directory, std::uint64_t launch_number) {
  return fmt::format("{}/{}{}-{}{}", directory, socket_prefix, ::getpid(), launch_number, socket_suffix);
}

// The server whose engine has this socket; 0 when it is none.
pid_t owner_of(std::string_view file_name) {
  if (!file_name.starts_with(socket_prefix) || !file_name.ends_with(socket_suffix)) return 0;
  file_name.remove_prefix(socket_prefix.size());
  pid_t owner = 0;
  const auto [end, error] = std::from_chars(file_name.data(), file_name.data() + file_name.size(), owner);
  return error == std::errc() && *end == '-' && owner > 0 ? owner : 0;
}

bool nobody_listens(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return false;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool refused = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
                       errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

}  // namespace

void remove_stale_sockets(const std::string& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const pid_t owner = owner_of(entry.path().filename().native());
    if (owner == 0) continue;
    // In a container the server before us had our id. One in another container is told by its answer.
    const bool gone = owner == ::getpid() || (::kill(owner, 0) != 0 && errno == ESRCH);
    if (gone && nobody_listens(entry.path().native())) ::unlink(entry.path().c_str());
  }
}

Task<void> Engines::Impl::load(std::shared_ptr<Engine> engine) {
  try {
    co_await bring_up(engine);
  } catch (const LoadFailure& failure) {
    load_failed(*engine, failure.blame, failure.client_message, failure.what());
  } catch (const boost::system::system_error& error) {
    // Cancelled by stop(), or the machine refuses: either way nothing of the engine's own.
    load_failed(*engine, Blame::circumstances, std::string(load_failed_message), error.what());
  } catch (const std::exception& error) {
    load_failed(*engine, Blame::engine, std::string(load_failed_message), error.what());
  }
}

Task<void> Engines::Impl::bring_up(std::shared_ptr<Engine> engine) {
  const Model& model = engine->model;
  const LlamaSpec& spec = std::get<LlamaSpec>(model.backend);
  const SteadyTime begin = std::chrono::steady_clock::now();
  const SteadyTime limit = begin + settings.load_timeout;
  if (settings.llama_server.empty())
    throw LoadFailure(Blame::engine, "This server has no engine for local models.",
                      "no llama-server is configured");

  auto info = co_await blocking.run([path = spec.file] { return read_gguf_info(path); });
  if (!info) throw LoadFailure(Blame::engine, std::string(load_failed_message), info.error());
  const std::uint64_t need = model.memory_bytes > 0 ? model.memory_bytes : estimate_memory(*info, spec);
  co_await reserve(engine, need, limit);

  std::uint64_t launch_number = 0;
  {
    std::lock_guard lock(mutex);
    launch_number = ++launches;
  }
  LlamaLaunch launch{
      .program = settings.llama_server,
      .socket_path = socket_path_of(settings.run_directory, launch_number),
      .log_file = fmt::format("{}/engine-{}.log", settings.run_directory, file_name_of(model.id)),
      .spec = spec,
      .file = std::move(*info),
      .capabilities = model.capabilities};
  if (launch.capabilities.empty()) launch.capabilities = derive_capabilities(launch.file, spec);
  if (launch.socket_path.size() > longest_socket_path)
    throw LoadFailure(
        Blame::engine, std::string(load_failed_message),
        fmt::format("the path {} is too long for a socket; use a shorter run directory", launch.socket_path));

  auto instance = std::make_shared<Instance>();
  instance->socket_path = launch.socket_path;
  auto on_exit = [this, weak_engine = std::weak_ptr(engine), weak_instance = std::weak_ptr(instance)](
                     const ChildExit& exit) { child_ended(weak_engine, weak_instance, exit); };
  instance->child = co_await blocking.run([this, &launch, on_exit = std::move(on_exit)] {
    ::unlink(launch.socket_path.c_str());  // a stale one would keep the engine from starting
    return host.start(make_child_spec(launch), on_exit);
  });
  co_await wait_until_healthy(engine, instance, limit);
  instance->backend = make_llama_backend(net::Origin{.scheme = "unix", .host = launch.socket_path, .port = 0},
                                         model.id, launch.capabilities);
  const auto left = limit - std::chrono::steady_clock::now();
  co_await async::with_deadline(
      left, instance->backend->probe(CallContext{.request_id = "engine-start", .deadline = limit}));

  std::lock_guard lock(mutex);
  if (instance->exit)
    throw LoadFailure(Blame::engine, std::string(load_failed_message), instance->exit->describe());
  if (engine->retired) throw no_longer_wanted();
  engine->instance = std::move(instance);
  engine->state = EngineState::ready;
  engine->restart = false;
  engine->ready_since = engine->last_used = std::chrono::steady_clock::now();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(engine->ready_since - begin);
  log::info("engine ready", {{"model", model.id},
                             {"pid", engine->instance->child->pid()},
                             {"load_ms", took.count()},
                             {"memory_mib", mebibytes(engine->memory)}});
  changed.announce();
}

Task<void> Engines::Impl::reserve(std::shared_ptr<Engine> engine, std::uint64_t bytes, SteadyTime limit) {
  if (bytes > budget) {
    throw LoadFailure(
        Blame::circumstances, "The model needs more memory than this server may use.",
        fmt::format(
            "it needs {:.0f} MiB and the budget is {:.0f} MiB: give it a smaller context or fewer slots, "
            "or raise the budget",
            mebibytes(bytes), mebibytes(budget)));
  }
  for (;;) {
    std::shared_ptr<Engine> victim;
    std::uint64_t seen = 0;
    {
      std::lock_guard lock(mutex);
      if (engine->retired) throw no_longer_wanted();
      std::uint64_t used = 0;
      for_each([&](const std::shared_ptr<Engine>& other) {
        used += other->memory;
        const bool evictable = other->state == EngineState::ready && other->instance->child &&
                               other->instance->leases == 0 && other->waiting == 0;
        if (evictable && (!victim || other->last_used < victim->last_used)) victim = other;
      });
      if (used + bytes <= budget) {
        engine->memory = bytes;
        co_return;
      }
      if (victim) victim->state = EngineState::stopping;
      seen = changed.generation();
    }
    if (victim) {
      log::info("engine makes room", {{"model", victim->model.id}, {"for", engine->model.id}});
      co_await unload(victim);
      continue;
    }
    if (std::chrono::steady_clock::now() >= limit)
      throw LoadFailure(Blame::circumstances, "The server's memory is taken by models that are in use.",
                        "no engine without requests could make room in time");
    struct Watch {
      Impl& table;
      explicit Watch(Impl& t) : table(t) {
        std::lock_guard lock(table.mutex);
        ++table.watching_releases;
      }
      ~Watch() {
        std::lock_guard lock(table.mutex);
        --table.watching_releases;
      }
    } watch(*this);
    // A lease that ended just before the watch began is seen at the next look.
    co_await changed.wait(seen, std::min(limit, std::chrono::steady_clock::now() + 100ms));
  }
}

Task<void> Engines::Impl::wait_until_healthy(std::shared_ptr<Engine> engine,
                                             std::shared_ptr<Instance> instance, SteadyTime limit) {
  net::HttpClient client(net::Origin{.scheme = "unix", .host = instance->socket_path, .port = 0},
                         {.connect = 2s, .header = 5s, .between_bytes = 5s}, 1);
  auto pause = 10ms;
  for (;;) {
    {
      std::lock_guard lock(mutex);
      if (engine->retired) throw no_longer_wanted();
      if (instance->exit)
        throw LoadFailure(Blame::engine, std::string(load_failed_message),
                          fmt::format("llama-server {}; its last words: {}", instance->exit->describe(),
                                      instance->child->last_lines()));
    }
    try {
      auto response = co_await client.send({.method = "GET", .target = "/health"});
      const int status = response->head().status;
      co_await response->read_all(64 * 1024);
      if (status == 200) co_return;
    } catch (const net::ClientError&) {
      // Not listening yet.
    }
    if (std::chrono::steady_clock::now() >= limit)
      throw LoadFailure(Blame::engine, "The model could not be loaded in time.",
                        fmt::format("llama-server was not ready in time; its last words: {}",
                                    instance->child->last_lines()));
    co_await async::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(200));
  }
}

Task<void> Engines::Impl::unload(std::shared_ptr<Engine> engine) {
  std::shared_ptr<Instance> instance;
  {
    std::lock_guard lock(mutex);
    instance = engine->instance;
  }
  if (instance) co_await end_process(instance);
  {
    std::lock_guard lock(mutex);
    engine->instance = nullptr;
    engine->memory = 0;
    engine->failures = 0;
    engine->refusal.clear();
    engine->state = EngineState::unloaded;
  }
  log::info("engine unloaded", {{"model", engine->model.id}});
  changed.announce();
}

Task<void> Engines::Impl::end_process(std::shared_ptr<Instance> instance) {
  for (const int signal : {SIGTERM, SIGKILL}) {
    instance->child->send(signal);
    const SteadyTime begin = std::chrono::steady_clock::now();
    for (;;) {
      SteadyTime limit;
      std::uint64_t seen = 0;
      {
        std::lock_guard lock(mutex);
        if (instance->exit) co_return;
        limit = grace_end(begin);
        seen = changed.generation();
      }
      if (std::chrono::steady_clock::now() >= limit) break;
      co_await changed.wait(seen, limit);
    }
  }
  log::error("engine does not end", {{"pid", instance->child->pid()}});
}

void Engines::Impl::child_ended(const std::weak_ptr<Engine>& weak_engine,
                                const std::weak_ptr<Instance>& weak_instance, const ChildExit& exit) {
  const auto engine = weak_engine.lock();
  const auto instance = weak_instance.lock();
  if (!engine || !instance) return;
  {
    std::lock_guard lock(mutex);
    instance->exit = exit;
    if (engine->state == EngineState::ready && engine->instance == instance) {
      log::error("engine crashed", {{"model", engine->model.id},
                                    {"cause", exit.describe()},
                                    {"requests", instance->leases},
                                    {"last_words", instance->child->last_lines()}});
      if (std::chrono::steady_clock::now() - engine->ready_since >= settings.stable_after)
        engine->failures = 0;
      engine->instance = nullptr;  // its leases hold it; their requests end with the connection
      engine->memory = 0;
      ++engine->restarts;
      engine->refusal = crashed_message;
      engine->restart = true;
      back_off(*engine);
    }
  }
  changed.announce();
}

void Engines::Impl::load_failed(Engine& engine, Blame blame, std::string client_message,
                                std::string_view cause) {
  {
    std::lock_guard lock(mutex);
    if (!ending && !engine.retired)
      log::error("engine did not load", {{"model", engine.model.id}, {"cause", cause}});
    engine.memory = 0;
    engine.refusal = std::move(client_message);
    if (blame == Blame::engine) {
      back_off(engine);
    } else {
      engine.state = EngineState::unloaded;
    }
  }
  changed.announce();
}

void Engines::Impl::back_off(Engine& engine) {
  constexpr unsigned most_doublings = 16;
  const auto delay = std::min<std::chrono::milliseconds>(
      settings.restart_delay * (1LL << std::min(engine.failures, most_doublings)),
      settings.restart_delay_most);
  ++engine.failures;
  engine.state = EngineState::backing_off;
  engine.retry_at = std::chrono::steady_clock::now() + delay;
}

}  // namespace hearth::engine
