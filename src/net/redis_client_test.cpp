#include "net/redis_client.hpp"

#include <cstdlib>
#include <future>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "async/deadline.hpp"
#include "async/runtime.hpp"

namespace hearth::net {
namespace {

using namespace std::chrono_literals;
using Kind = RedisReply::Kind;

TEST(RedisAddress, HasTwoForms) {
  const auto tcp = RedisAddress::parse("redis://me:a%2Fb@[::1]:7000/3");
  ASSERT_TRUE(tcp);
  EXPECT_TRUE(tcp->host == "::1" && tcp->port == 7000 && tcp->user == "me" && tcp->password == "a/b" &&
              tcp->db == 3);
  const auto plain = RedisAddress::parse("redis://cache.example");
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->host == "cache.example" && plain->port == 6379 && plain->db == 0 &&
              plain->password.empty());
  const auto socket = RedisAddress::parse("redis+unix://:x@/run/redis.sock?db=2");
  ASSERT_TRUE(socket);
  EXPECT_TRUE(socket->socket == "/run/redis.sock" && socket->password == "x" && socket->db == 2);
}

TEST(RedisAddress, RefusesOthers) {
  for (const char* text :
       {"", "localhost", "http://localhost", "rediss://localhost", "redis://", "redis://h/x", "redis://h/1/2",
        "redis://h:0", "redis://h?db=1", "redis+unix://h/x", "redis+unix:///", "redis+unix:///x?db=y",
        "redis+unix:///x?other=1"}) {
    EXPECT_FALSE(RedisAddress::parse(text)) << text;
  }
}

// A client on a loop of its own; calls come from another.
class Client {
 public:
  explicit Client(RedisAddress address, RedisTimes times = {})
      : redis_(runtime_.executor(1), std::move(address), times) {
    runtime_.start();
    boost::asio::co_spawn(runtime_.executor(1), redis_.run(),
                          boost::asio::bind_cancellation_slot(
                              stop_.slot(), [this](const std::exception_ptr&) { ended_.set_value(); }));
  }
  ~Client() {
    boost::asio::post(runtime_.executor(1), [this] { stop_.emit(boost::asio::cancellation_type::terminal); });
    EXPECT_EQ(ended_.get_future().wait_for(30s), std::future_status::ready);
  }
  RedisClient& get() { return redis_; }
  RedisReply call(RedisClient::Command command) {
    RedisReply reply;
    runtime_.run_until_complete(
        [](RedisClient& redis, RedisClient::Command c, RedisReply& out) -> Task<void> {
          out = co_await redis.call(c);
        }(redis_, std::move(command), reply));
    return reply;
  }
  void run(Task<void> task) { runtime_.run_until_complete(std::move(task)); }

 private:
  async::Runtime runtime_{2};
  RedisClient redis_;
  boost::asio::cancellation_signal stop_;
  std::promise<void> ended_;
};

TEST(RedisClient, FailsAtOnceWhereNobodyListens) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor unused(context, {boost::asio::ip::address_v4::loopback(), 0});
  const auto port = unused.local_endpoint().port();
  unused.close();
  Client client({.host = "127.0.0.1", .port = port});
  for (int i = 0; i < 3; ++i)
    EXPECT_THROW(client.call({"PING"}), RedisAway);
}

TEST(RedisClient, DoesNotWaitForSilence) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor silent(context, {boost::asio::ip::address_v4::loopback(), 0});
  Client client({.host = "127.0.0.1", .port = silent.local_endpoint().port()}, {.connect = 200ms});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(client.call({"PING"}), RedisAway);
  EXPECT_THROW(client.call({"PING"}), RedisAway);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

class WithRedis : public testing::Test {
 protected:
  void SetUp() override {
    const char* url = std::getenv("HEARTH_REDIS");
    if (!url) GTEST_SKIP() << "tests/run.py starts a Redis";
    address_ = *RedisAddress::parse(url);
    address_.db = 5;
  }
  RedisAddress address_;
};

TEST_F(WithRedis, RepliesOfEveryKind) {
  Client client(address_);
  EXPECT_EQ(client.call({"SET", "redis_client_test", "a\r\n\0b"}).text, "OK");
  EXPECT_EQ(client.call({"STRLEN", "redis_client_test"}).integer, 3);
  EXPECT_EQ(client.call({"GET", "redis_client_test"}).text, "a\r\n");
  EXPECT_EQ(client.call({"DEL", "redis_client_test"}).integer, 1);
  EXPECT_EQ(client.call({"GET", "redis_client_test"}).kind, Kind::nil);
  const RedisReply error = client.call({"NOSUCHCOMMAND"});
  EXPECT_TRUE(error.kind == Kind::error && error.text.starts_with("ERR"));
  const RedisReply list = client.call({"EVAL", "return {1, 'two', {3}}", "0"});
  ASSERT_EQ(list.items.size(), 3U);
  EXPECT_TRUE(list.items[0].integer == 1 && list.items[1].text == "two" && list.items[2].items.size() == 1);
}

TEST_F(WithRedis, RepliesComeInTheOrderOfTheCommands) {
  Client client(address_, {.reply = 10s});
  client.call({"DEL", "redis_client_counter"});
  client.run([](RedisClient& redis) -> Task<void> {
    std::atomic<int> replies{0};
    std::atomic<bool> ordered{true};
    for (int i = 1; i <= 5000; ++i) {
      redis.send({"INCR", "redis_client_counter"}, [&replies, &ordered, i](const RedisReply& reply) {
        if (reply.integer != i) ordered = false;
        ++replies;
      });
    }
    const RedisReply last = co_await redis.call({"GET", "redis_client_counter"});
    EXPECT_EQ(last.text, "5000");
    EXPECT_TRUE(ordered);
    EXPECT_EQ(replies, 5000);
  }(client.get()));
}

TEST_F(WithRedis, ComesBackAfterItsConnectionWasCut) {
  Client client(address_, {.pause = 20ms});
  const std::string id = fmt::format("{}", client.call({"CLIENT", "ID"}).integer);
  Client other(address_);
  other.call({"CLIENT", "KILL", "ID", id});
  const auto end = std::chrono::steady_clock::now() + 5s;
  bool back = false;
  while (!back && std::chrono::steady_clock::now() < end) {
    try {
      back = client.call({"PING"}).text == "PONG";
    } catch (const RedisAway&) {
      std::this_thread::sleep_for(10ms);
    }
  }
  EXPECT_TRUE(back);
}

TEST_F(WithRedis, AWrongPasswordIsSaid) {
  address_.password = "wrong";
  Client client(address_);
  try {
    client.call({"PING"});
    FAIL();
  } catch (const RedisAway& away) {
    EXPECT_NE(std::string(away.what()).find("AUTH"), std::string::npos) << away.what();
  }
}

}  // namespace
}  // namespace hearth::net
