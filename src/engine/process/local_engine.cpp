#include "engine/process/local_engine.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "async/deadline.hpp"
#include "net/http_client.hpp"

namespace hearth::engine {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t longest_socket_path = 107;  // what the kernel's address holds
constexpr std::string_view socket_prefix = "engine-";
constexpr std::string_view socket_suffix = ".sock";

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

// What the process has for itself, without the files that it maps; 0 when it is gone.
std::uint64_t read_own_memory(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  constexpr std::string_view name = "RssAnon:";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size(), nullptr, 10) * 1024;
  }
  return 0;
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

std::string socket_path_of(const std::string& directory, std::uint64_t launch_number) {
  // Our process's id is in it: two servers may share a data directory.
  std::string path =
      fmt::format("{}/{}{}-{}{}", directory, socket_prefix, ::getpid(), launch_number, socket_suffix);
  if (path.size() > longest_socket_path)
    throw std::runtime_error(
        fmt::format("the path {} is too long for a socket; use a shorter run directory", path));
  return path;
}

std::string file_name_of(const std::string& model) {
  constexpr std::size_t longest = 40;
  std::string name = model.substr(0, longest);
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (!plain) c = '_';
  }
  return name;
}

Task<bool> answers_get(const std::string& socket_path, std::string_view path) {
  net::HttpClient client(net::Origin{.scheme = "unix", .host = socket_path, .port = 0},
                         {.connect = 2s, .header = 5s, .between_bytes = 5s}, 1);
  try {
    auto response = co_await client.send({.method = "GET", .target = std::string(path)});
    const int status = response->head().status;
    co_await response->read_all(64 * 1024);
    co_return status == 200;
  } catch (const net::ClientError&) {
    // Not listening yet.
  }
  co_return false;
}

LocalEngine::LocalEngine(const ChildAdapter& adapter, LaunchOrder order, const LaunchPlan& plan,
                         Change& changed)
    : adapter_(adapter),
      order_(std::move(order)),
      capabilities_(plan.capabilities),
      memory_most_(plan.memory_most),
      changed_(changed) {}

LocalEngine::~LocalEngine() {
  ::unlink(order_.socket_path.c_str());
}

Task<void> LocalEngine::launch(std::shared_ptr<LocalEngine> engine, ChildSpec child, ChildHost& host,
                               async::BlockingPool& blocking, std::function<void()> ended) {
  auto on_exit = [weak = std::weak_ptr(engine), ended = std::move(ended)](const ChildExit& exit) {
    // Whoever gave the engine up asks no more.
    const auto self = weak.lock();
    if (!self) return;
    {
      std::lock_guard lock(self->mutex_);
      self->exit_ = exit;
    }
    ended();
    self->changed_.announce();
  };
  engine->child_ = co_await blocking.run([&] {
    ::unlink(engine->order_.socket_path.c_str());  // a stale one would keep the engine from starting
    return host.start(std::move(child), std::move(on_exit));
  });
}

std::optional<ChildExit> LocalEngine::exit() const {
  std::lock_guard lock(mutex_);
  return exit_;
}

void LocalEngine::check_alive() const {
  if (const auto ended = exit()) {
    throw Failed(Failed::How::ended,
                 fmt::format("the engine {}; its last words: {}", ended->describe(), last_lines()));
  }
}

Task<void> LocalEngine::wait_until_ready(SteadyTime limit, std::function<bool()> is_wanted) {
  auto pause = 10ms;
  for (;;) {
    if (!is_wanted()) throw Failed(Failed::How::unwanted, "the model was deleted or redefined");
    check_alive();
    if (co_await adapter_.is_up(order_.socket_path)) break;
    if (std::chrono::steady_clock::now() >= limit) {
      throw Failed(Failed::How::slow,
                   fmt::format("the engine was not ready in time; its last words: {}", last_lines()));
    }
    co_await async::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(200));
  }
  backend_ = adapter_.connect(order_, capabilities_);
  CallContext call("engine-start", limit);
  co_await async::with_deadline(limit - std::chrono::steady_clock::now(), backend_->probe(call));
  check_alive();
}

Task<bool> LocalEngine::stop(std::function<SteadyTime(SteadyTime)> limit_of) {
  for (const int signal : {SIGTERM, SIGKILL}) {
    child_->send(signal);
    const SteadyTime begin = std::chrono::steady_clock::now();
    for (;;) {
      const std::uint64_t seen = changed_.generation();
      if (exit()) co_return true;
      const SteadyTime limit = limit_of(begin);
      if (std::chrono::steady_clock::now() >= limit) break;
      co_await changed_.wait(seen, limit);
    }
  }
  co_return false;
}

std::optional<std::uint64_t> LocalEngine::end_when_outgrown() {
  if (memory_most_ == 0 || exit()) return std::nullopt;
  const std::uint64_t memory = read_own_memory(pid());
  if (memory <= memory_most_) return std::nullopt;
  child_->send(SIGKILL);
  return memory;
}

}  // namespace hearth::engine
