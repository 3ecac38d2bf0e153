#include "net/redis_client.hpp"

#include <array>
#include <charconv>
#include <hiredis/hiredis.h>
#include <memory>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <boost/url/parse.hpp>
#include <fmt/format.h>
#include <openssl/evp.h>

#include "async/deadline.hpp"
#include "async/interruptible.hpp"
#include "base/log.hpp"

namespace hearth::net {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::size_t read_size = 16 * 1024;
constexpr std::chrono::milliseconds watch_step{25};
constexpr std::size_t max_pending = 100'000;

struct FreeReader {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};
struct FreeReply {
  void operator()(void* reply) const { freeReplyObject(reply); }
};

void append_command(std::string& out, const RedisClient::Command& command) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", command.size());
  for (const std::string& word : command)
    fmt::format_to(std::back_inserter(out), "${}\r\n{}\r\n", word.size(), word);
}

RedisReply copy(const redisReply& reply) {
  RedisReply out;
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      out.kind = RedisReply::Kind::integer;
      out.integer = reply.integer;
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      out.kind = RedisReply::Kind::text;
      out.text.assign(reply.str, static_cast<std::size_t>(reply.len));
      break;
    case REDIS_REPLY_ERROR:
      out.kind = RedisReply::Kind::error;
      out.text.assign(reply.str, static_cast<std::size_t>(reply.len));
      break;
    case REDIS_REPLY_ARRAY:
      out.kind = RedisReply::Kind::list;
      for (std::size_t i = 0; i < reply.elements; ++i)
        out.items.push_back(copy(*reply.element[i]));
      break;
    default:
      break;
  }
  return out;
}

}  // namespace

struct RedisClient::Connection {
  explicit Connection(const async::Executor& executor) : socket(executor) {}
  asio::generic::stream_protocol::socket socket;
  std::unique_ptr<redisReader, FreeReader> reader{redisReaderCreate()};
};

std::optional<RedisAddress> RedisAddress::parse(std::string_view text) {
  const auto url = boost::urls::parse_uri(text);
  if (!url || url->has_fragment()) return std::nullopt;
  RedisAddress address;
  const auto read_db = [&address](std::string_view number) {
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), address.db);
    return error == std::errc() && end == number.data() + number.size();
  };
  address.user = url->user();
  address.password = url->password();
  if (url->scheme() == "redis+unix") {
    address.socket = url->path();
    if (!url->host().empty() || address.socket.size() < 2) return std::nullopt;
    for (const auto& parameter : url->params()) {
      if (parameter.key != "db" || !read_db(parameter.value)) return std::nullopt;
    }
    return address;
  }
  if (url->scheme() != "redis" || url->host().empty() || url->has_query()) return std::nullopt;
  address.host = url->host_address();
  if (url->has_port()) {
    address.port = url->port_number();
    if (address.port == 0) return std::nullopt;
  }
  std::string path = url->path();
  if (path.size() > 1 && !read_db(std::string_view(path).substr(1))) return std::nullopt;
  return address;
}

std::string redis_script_digest(std::string_view script) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_Digest(script.data(), script.size(), digest.data(), &size, EVP_sha1(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i)
    fmt::format_to(std::back_inserter(hex), "{:02x}", digest[i]);
  return hex;
}

RedisClient::RedisClient(async::Executor executor, RedisAddress address, RedisTimes times)
    : executor_(std::move(executor)),
      address_(std::move(address)),
      times_(times),
      wake_(executor_, asio::steady_timer::time_point::max()) {}

Task<void> RedisClient::run() {
  std::exception_ptr cancelled;
  while (!cancelled) {
    std::string cause;
    try {
      Connection connection(executor_);
      co_await async::with_deadline(times_.connect, greet(connection));
      {
        std::lock_guard lock(mutex_);
        away_.clear();
      }
      log::debug("redis.connected");
      co_await async::run_unless(read_replies(connection),
                                 [](Task<void> one, Task<void> other) -> Task<void> {
                                   co_await async::run_unless(std::move(one), std::move(other));
                                 }(write_commands(connection), watch_deadlines()));
      cause = "a reply did not come in time, or the connection broke";
    } catch (const async::DeadlineExceeded&) {
      cause = "it does not answer";
    } catch (const boost::system::system_error& error) {
      cause = error.code().message();
      if (error.code() == asio::error::operation_aborted) cancelled = std::current_exception();
    } catch (const std::exception& error) {
      cause = error.what();
    }
    go_down(cause);
    if (cancelled) break;
    co_await async::sleep_for(times_.pause);
  }
  std::rethrow_exception(cancelled);
}

Task<RedisReply> RedisClient::call(const Command& command) {
  return async::await_callback<RedisReply>([this, &command](async::Resolver<RedisReply> done) {
    enqueue(command, [done = std::move(done)](Result result) mutable { done(std::move(result)); });
  });
}

void RedisClient::send(const Command& command, OnReply on_reply) {
  enqueue(command, [on_reply = std::move(on_reply)](const Result& result) {
    if (result && on_reply) on_reply(*result);
  });
}

void RedisClient::enqueue(const Command& command, std::move_only_function<void(Result)> done) {
  std::string away;
  {
    std::lock_guard lock(mutex_);
    away = away_;
    if (away.empty() && pending_.size() >= max_pending) away = "too many commands wait for it";
    if (away.empty()) {
      append_command(out_, command);
      pending_.push_back({Clock::now() + times_.reply, std::move(done)});
      if (std::exchange(waking_, true)) return;
    }
  }
  if (!away.empty()) return done(std::unexpected(std::make_exception_ptr(RedisAway(away))));
  asio::post(executor_, [this] { wake_.cancel(); });
}

Task<void> RedisClient::connect(Connection& connection) {
  if (!address_.socket.empty()) {
    const asio::local::stream_protocol::endpoint endpoint(address_.socket);
    connection.socket.open(asio::generic::stream_protocol(endpoint.protocol()));
    co_await connection.socket.async_connect(endpoint, asio::use_awaitable);
    co_return;
  }
  asio::ip::tcp::resolver resolver(executor_);
  const auto found =
      co_await resolver.async_resolve(address_.host, fmt::format("{}", address_.port), asio::use_awaitable);
  asio::ip::tcp::socket socket(executor_);
  co_await asio::async_connect(socket, found, asio::use_awaitable);
  socket.set_option(asio::ip::tcp::no_delay(true));
  connection.socket = std::move(socket);
}

// Connects, authenticates and selects the database.
Task<void> RedisClient::greet(Connection& connection) {
  co_await connect(connection);
  std::vector<Command> greeting;
  if (!address_.password.empty()) {
    Command command{"AUTH"};
    if (!address_.user.empty()) command.push_back(address_.user);
    command.push_back(address_.password);
    greeting.push_back(std::move(command));
  }
  if (address_.db != 0) greeting.push_back({"SELECT", fmt::format("{}", address_.db)});
  greeting.push_back({"PING"});
  std::string text;
  for (const Command& command : greeting)
    append_command(text, command);
  co_await asio::async_write(connection.socket, asio::buffer(text), asio::use_awaitable);
  std::size_t replies = 0;
  std::array<char, 1024> buffer;
  while (replies < greeting.size()) {
    const std::size_t got =
        co_await connection.socket.async_read_some(asio::buffer(buffer), asio::use_awaitable);
    redisReaderFeed(connection.reader.get(), buffer.data(), got);
    void* raw = nullptr;
    while (replies < greeting.size() && redisReaderGetReply(connection.reader.get(), &raw) == REDIS_OK &&
           raw) {
      const std::unique_ptr<void, FreeReply> owned(raw);
      const auto& reply = *static_cast<const redisReply*>(raw);
      if (reply.type == REDIS_REPLY_ERROR) {
        throw RedisAway(fmt::format("it refuses {}: {}", greeting[replies][0],
                                    std::string_view(reply.str, static_cast<std::size_t>(reply.len))));
      }
      ++replies;
    }
    if (connection.reader->err != 0) throw RedisAway(connection.reader->errstr);
  }
}

Task<void> RedisClient::write_commands(Connection& connection) {
  std::string writing;
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      writing.clear();
      writing.swap(out_);
      waking_ = false;
    }
    if (!writing.empty()) {
      co_await asio::async_write(connection.socket, asio::buffer(writing), asio::use_awaitable);
      continue;
    }
    // From here on, whoever enqueues a command posts a wake-up to this loop; it runs after the wait has
    // begun.
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (async::detail::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  }
}

Task<void> RedisClient::read_replies(Connection& connection) {
  std::vector<char> buffer(read_size);
  for (;;) {
    const std::size_t got =
        co_await connection.socket.async_read_some(asio::buffer(buffer), asio::use_awaitable);
    redisReaderFeed(connection.reader.get(), buffer.data(), got);
    for (;;) {
      void* raw = nullptr;
      if (redisReaderGetReply(connection.reader.get(), &raw) != REDIS_OK) {
        throw RedisAway(fmt::format("it speaks another protocol: {}", connection.reader->errstr));
      }
      if (!raw) break;
      const std::unique_ptr<void, FreeReply> owned(raw);
      deliver(copy(*static_cast<const redisReply*>(raw)));
    }
  }
}

// Ends when the oldest command has waited too long.
Task<void> RedisClient::watch_deadlines() {
  for (;;) {
    co_await async::sleep_for(watch_step);
    std::lock_guard lock(mutex_);
    if (!pending_.empty() && pending_.front().deadline <= Clock::now()) co_return;
  }
}

void RedisClient::deliver(RedisReply reply) {
  std::move_only_function<void(Result)> done;
  {
    std::lock_guard lock(mutex_);
    if (pending_.empty()) return;  // nobody asked: nothing of ours
    done = std::move(pending_.front().done);
    pending_.pop_front();
  }
  done(std::move(reply));
}

void RedisClient::go_down(const std::string& cause) {
  std::deque<Pending> lost;
  {
    std::lock_guard lock(mutex_);
    away_ = cause.empty() ? "the connection broke" : cause;
    lost.swap(pending_);
    out_.clear();
  }
  for (Pending& pending : lost)
    pending.done(std::unexpected(std::make_exception_ptr(RedisAway(cause))));
}

}  // namespace hearth::net
