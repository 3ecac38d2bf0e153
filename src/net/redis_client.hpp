// A connection to Redis that many callers share: commands are pipelined in the order in which they come.
//
// While Redis is away every call fails at once, and the client tries to connect again and again in the
// background. A reply that does not come in time means that the connection is broken: all calls on it fail
// and it is replaced. Whether a command that failed was carried out is not known.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "async/callback.hpp"
#include "async/task.hpp"

namespace hearth::net {

// redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], or redis+unix://[[USER]:PASSWORD@]/PATH[?db=DB].
struct RedisAddress {
  std::string host;  // without brackets; empty for a socket
  std::uint16_t port = 6379;
  std::string socket;  // path; empty for TCP
  std::string user;
  std::string password;  // secret
  std::uint32_t db = 0;

  static std::optional<RedisAddress> parse(std::string_view url);
};

struct RedisReply {
  enum class Kind : std::uint8_t { nil, integer, text, error, list };
  Kind kind = Kind::nil;
  std::int64_t integer = 0;
  std::string text;  // of texts and errors
  std::vector<RedisReply> items;
};

// The name by which EVALSHA knows a script: its SHA-1 in hexadecimal.
std::string redis_script_digest(std::string_view script);

// Redis did not answer. The message is for the log.
class RedisAway : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct RedisTimes {
  std::chrono::milliseconds connect{500};
  std::chrono::milliseconds reply{250};
  std::chrono::milliseconds pause{200};  // between attempts to connect
};

// Owned by app/, which spawns run() on `executor`; dies after run() has ended. Thread: call() and send() from
// any.
class RedisClient {
 public:
  using Command = std::vector<std::string>;
  using OnReply = std::function<void(const RedisReply&)>;

  RedisClient(async::Executor executor, RedisAddress address, RedisTimes times = {});
  RedisClient(const RedisClient&) = delete;

  // Keeps the connection until cancelled.
  Task<void> run();

  // The reply, an error of Redis among them. Throws RedisAway.
  Task<RedisReply> call(const Command& command);
  // Without waiting; `on_reply` is called on the client's executor, or never.
  void send(const Command& command, OnReply on_reply);

 private:
  struct Connection;
  using Result = async::Outcome<RedisReply>;
  struct Pending {
    std::chrono::steady_clock::time_point deadline;
    std::move_only_function<void(Result)> done;
  };

  void enqueue(const Command& command, std::move_only_function<void(Result)> done);
  Task<void> connect(Connection& connection);
  Task<void> greet(Connection& connection);
  Task<void> write_commands(Connection& connection);
  Task<void> read_replies(Connection& connection);
  Task<void> watch_deadlines();
  void deliver(RedisReply reply);
  void go_down(const std::string& cause);

  async::Executor executor_;
  RedisAddress address_;
  RedisTimes times_;
  boost::asio::steady_timer wake_;  // the writer waits on it; the executor's

  std::mutex mutex_;
  std::string out_;              // guarded by mutex_, as what follows
  std::deque<Pending> pending_;  // in the order of the commands
  bool waking_ = false;          // a wake-up of the writer is on its way
  std::string away_;             // why calls fail; empty while they may be tried
};

}  // namespace hearth::net
