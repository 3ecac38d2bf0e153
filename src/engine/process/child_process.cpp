#include "engine/process/child_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <expected>
#include <fcntl.h>
#include <future>
#include <linux/close_range.h>
#include <mutex>
#include <signal.h>
#include <stdexcept>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

extern char** environ;

namespace hearth::engine {
namespace {

constexpr std::size_t kept_lines = 20;
constexpr std::size_t kept_line_bytes = 500;

// What the forked child needs, prepared before the fork: after it only async-signal-safe calls are allowed.
struct ExecPlan {
  std::vector<std::string> words;
  std::vector<std::string> variables;
  std::vector<char*> argv;
  std::vector<char*> envp;

  explicit ExecPlan(const ChildSpec& spec) {
    words.push_back(spec.program);
    words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
    for (char** entry = environ; *entry; ++entry) {
      const std::string_view text(*entry);
      const std::string_view name = text.substr(0, text.find('='));
      const auto replaced = [&](const auto& pair) { return pair.first == name; };
      const auto hidden = [&](const std::string& prefix) { return name.starts_with(prefix); };
      if (std::ranges::none_of(spec.environment, replaced) && std::ranges::none_of(spec.withheld, hidden))
        variables.emplace_back(text);
    }
    for (const auto& [name, value] : spec.environment)
      variables.push_back(name + "=" + value);
    for (auto& word : words)
      argv.push_back(word.data());
    for (auto& variable : variables)
      envp.push_back(variable.data());
    argv.push_back(nullptr);
    envp.push_back(nullptr);
  }
};

struct Pipe {
  int read_end = -1;
  int write_end = -1;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      throw std::system_error(errno, std::generic_category(), "cannot make a pipe");
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  Pipe(const Pipe&) = delete;
  void close_read() {
    if (read_end >= 0) ::close(std::exchange(read_end, -1));
  }
  void close_write() {
    if (write_end >= 0) ::close(std::exchange(write_end, -1));
  }
};

// Runs in the forked child. What we have open (clients' connections among it) ends with the exec: a socket
// that lived on in an engine would never be seen to close by its peer.
void keep_only_standard_streams() {
  if (::syscall(SYS_close_range, STDERR_FILENO + 1U, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  constexpr rlim_t most = 1U << 20U;  // an old kernel may allow a billion: that would take minutes
  rlimit limit{};
  const rlim_t end = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? std::min(limit.rlim_cur, most) : most;
  for (int each = STDERR_FILENO + 1; each < static_cast<int>(end); ++each)
    ::fcntl(each, F_SETFD, FD_CLOEXEC);
}

// Runs in the forked child. `failure` takes errno when the program cannot be started.
[[noreturn]] void become(const ExecPlan& plan, int output, int failure, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before the line above took effect
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  keep_only_standard_streams();
  ::execve(plan.argv[0], plan.argv.data(), plan.envp.data());
  const int cause = errno;
  [[maybe_unused]] const auto written = ::write(failure, &cause, sizeof cause);
  ::_exit(127);
}

// A log file that never grows beyond its bound: what is older moves to `<path>.1`.
class RotatingFile {
 public:
  RotatingFile(std::string path, std::size_t limit) : path_(std::move(path)), limit_(limit) {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd_ >= 0) size_ = static_cast<std::size_t>(std::max<off_t>(0, ::lseek(fd_, 0, SEEK_END)));
  }
  ~RotatingFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  RotatingFile(const RotatingFile&) = delete;

  // A full disk loses log lines and nothing else.
  void append(std::string_view bytes) {
    if (fd_ < 0) return;
    if (size_ + bytes.size() > limit_ && size_ > 0) {
      ::close(fd_);
      std::rename(path_.c_str(), (path_ + ".1").c_str());
      fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
      size_ = 0;
      if (fd_ < 0) return;
    }
    if (::write(fd_, bytes.data(), bytes.size()) > 0) size_ += bytes.size();
  }

 private:
  std::string path_;
  std::size_t limit_;
  int fd_ = -1;
  std::size_t size_ = 0;
};

}  // namespace

std::string ChildExit::describe() const {
  if (signal != 0) return fmt::format("killed by signal {} ({})", signal, strsignal(signal));
  return fmt::format("exited with code {}", code);
}

struct ChildHost::Child : std::enable_shared_from_this<Child> {
  Child(boost::asio::io_context& loop, const ChildSpec& spec, OnExit report)
      : output(std::in_place, loop),
        ended(std::in_place, loop),
        log(spec.log_file, spec.log_bytes),
        on_exit(std::move(report)) {}

  // Host's thread only.
  // Gone once the process was collected: they must not outlive the loop, which the handle may.
  std::optional<boost::asio::posix::stream_descriptor> output;
  std::optional<boost::asio::posix::stream_descriptor> ended;  // a pidfd: readable when the process has ended
  RotatingFile log;
  OnExit on_exit;
  std::array<char, 8192> buffer{};
  std::string partial_line;

  // Set before the child is shared.
  pid_t pid = -1;

  mutable std::mutex mutex;
  bool running = true;            // under mutex; the pid is ours to signal only while it is true
  std::deque<std::string> lines;  // under mutex

  void read_output() {
    if (!output) return;
    output->async_read_some(boost::asio::buffer(buffer),
                            [self = shared_from_this()](boost::system::error_code error, std::size_t n) {
                              if (error) return;
                              const std::string_view bytes(self->buffer.data(), n);
                              self->log.append(bytes);
                              self->keep(bytes);
                              self->read_output();
                            });
  }

  void keep(std::string_view bytes) {
    std::lock_guard lock(mutex);
    for (const char c : bytes) {
      if (c == '\n') {
        lines.push_back(std::exchange(partial_line, {}));
        if (lines.size() > kept_lines) lines.pop_front();
      } else if (partial_line.size() < kept_line_bytes) {
        partial_line.push_back(c);
      }
    }
  }

  void watch() {
    ended->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](boost::system::error_code error) {
                        if (!error) self->collect();
                      });
  }

  // The process has ended: takes its last output and its status, and reports it.
  void collect() {
    ChildExit exit;
    {
      std::lock_guard lock(mutex);
      if (!running) return;
      int status = 0;
      while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
      }
      running = false;
      if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
      if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
    }
    // What is still in the pipe says why it ended. The pipe is non-blocking; a grandchild may hold it open.
    boost::system::error_code error;
    for (int reads = 0; reads < 16 && !error; ++reads) {
      const std::size_t n = output->read_some(boost::asio::buffer(buffer), error);
      if (error) break;
      log.append({buffer.data(), n});
      keep({buffer.data(), n});
    }
    output.reset();
    ended.reset();
    if (auto report = std::exchange(on_exit, nullptr)) report(exit);
  }

  void send(int signal) {
    std::lock_guard lock(mutex);
    if (running) ::kill(-pid, signal);
  }
};

struct ChildHost::Impl {
  boost::asio::io_context loop{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{loop.get_executor()};
  std::vector<std::weak_ptr<Child>> children;  // loop's thread only
  std::jthread thread{[this] { loop.run(); }};

  std::shared_ptr<Child> start(const ChildSpec& spec, OnExit on_exit) {
    auto child = std::make_shared<Child>(loop, spec, std::move(on_exit));
    const ExecPlan plan(spec);
    Pipe output;
    Pipe failure;
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "cannot fork");
    if (pid == 0) become(plan, output.write_end, failure.write_end, parent);
    ::setpgid(pid, pid);  // both sides do it: whoever comes first
    failure.close_write();
    output.close_write();
    int cause = 0;
    ssize_t got;
    while ((got = ::read(failure.read_end, &cause, sizeof cause)) < 0 && errno == EINTR) {
    }
    if (got > 0) {
      ::waitpid(pid, nullptr, 0);
      throw std::runtime_error(fmt::format("cannot start {}: {}", spec.program, std::strerror(cause)));
    }
    const int watched = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (watched < 0) {
      const int refused = errno;
      ::kill(-pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      throw std::system_error(refused, std::generic_category(), "cannot watch a child process");
    }
    child->pid = pid;
    child->ended->assign(watched);
    child->output->assign(std::exchange(output.read_end, -1));
    child->output->non_blocking(true);
    child->read_output();
    child->watch();
    std::erase_if(children, [](const auto& other) { return other.expired(); });
    children.push_back(child);
    return child;
  }
};

ChildHost::ChildHost() : impl_(std::make_unique<Impl>()) {}

ChildHost::~ChildHost() {
  boost::asio::post(impl_->loop, [impl = impl_.get()] {
    for (const auto& weak : impl->children) {
      if (const auto child = weak.lock()) {
        child->send(SIGKILL);
        child->collect();
      }
    }
    impl->work.reset();
  });
  impl_->thread.join();
}

std::unique_ptr<ChildProcess> ChildHost::start(ChildSpec spec, OnExit on_exit) {
  using Started = std::expected<std::shared_ptr<Child>, std::string>;
  // Shared: the waiter below may be gone before set_value() has returned.
  const auto promise = std::make_shared<std::promise<Started>>();
  auto started = promise->get_future();
  boost::asio::post(impl_->loop, [impl = impl_.get(), promise, &spec, &on_exit] {
    Started result;
    try {
      result = impl->start(spec, std::move(on_exit));
    } catch (const std::exception& error) {
      result = std::unexpected(std::string(error.what()));
    }
    promise->set_value(std::move(result));
  });
  Started result = started.get();
  if (!result) throw std::runtime_error(result.error());
  return std::make_unique<ChildProcess>(std::move(*result));
}

ChildProcess::ChildProcess(std::shared_ptr<ChildHost::Child> child) : child_(std::move(child)) {}

ChildProcess::~ChildProcess() {
  child_->send(SIGKILL);
}

pid_t ChildProcess::pid() const {
  return child_->pid;
}

bool ChildProcess::running() const {
  std::lock_guard lock(child_->mutex);
  return child_->running;
}

void ChildProcess::send(int signal) {
  child_->send(signal);
}

std::string ChildProcess::last_lines() const {
  std::lock_guard lock(child_->mutex);
  std::string text;
  for (const auto& line : child_->lines)
    text += line + "\n";
  return text;
}

}  // namespace hearth::engine
