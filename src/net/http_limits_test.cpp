// What a server does to clients that are slow, too large or broken.
#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "net/test_server.hpp"

namespace hearth::net {
namespace {

using testing::echo;
using ::testing::HasSubstr;
using testing::RawClient;
using ::testing::StartsWith;
using testing::TestServer;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::string_view host = " HTTP/1.1\r\nHost: t\r\n";

TEST(HttpLimits, RefusesBrokenRequests) {
  ServerLimits limits;
  limits.header_bytes = 2048;
  TestServer::run(
      echo,
      [](TestServer& test) -> Task<void> {
        const auto broken = co_await test.exchange("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
        EXPECT_THAT(broken, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
        EXPECT_THAT(broken, HasSubstr("content-type: application/json\r\n"));
        EXPECT_THAT(
            broken,
            HasSubstr(R"("type":"invalid_request_error","param":null,"code":"invalid_http_message"}})"));
        EXPECT_THAT(co_await test.exchange("\x16\x03\x01\x02garbage\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
        EXPECT_THAT(co_await test.exchange("GET / HTTP/1.1\nHost: t\n\n"), StartsWith("HTTP/1.1 400 "));
        const auto large =
            co_await test.exchange("GET /" + std::string(100'000, 'x') + std::string(host) + "\r\n");
        EXPECT_THAT(large, StartsWith("HTTP/1.1 431 "));
        EXPECT_THAT(large, HasSubstr("\"code\":\"header_too_large\""));
        EXPECT_THAT(
            co_await test.exchange("POST /" + std::string(host) + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            StartsWith("HTTP/1.1 400 "));
      },
      limits);
}

TEST(HttpLimits, RefusesBodiesAboveTheLimit) {
  const auto handle = [](const RequestHead& head, BodyReader& body, ResponseWriter& response) -> Task<void> {
    co_await response.send(testing::ok(), head.method + co_await body.read_all(1000));
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    auto client = co_await test.connect();
    co_await client->send("POST /" + std::string(host) + "Content-Length: 1000\r\n\r\n" +
                          std::string(1000, 'x'));
    EXPECT_THAT(co_await client->read_reply(), StartsWith("HTTP/1.1 200 "));
    co_await client->send("POST /" + std::string(host) + "Content-Length: 1001\r\n\r\n" +
                          std::string(1001, 'x'));
    EXPECT_THAT(co_await client->read_to_end(), StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(
        co_await test.exchange("POST /" + std::string(host) + "Transfer-Encoding: chunked\r\n\r\n3E9\r\n" +
                               std::string(1001, 'x') + "\r\n0\r\n\r\n"),
        StartsWith("HTTP/1.1 413 "));
  });
}

TEST(HttpLimits, CutsSlowHeadersAndIdleConnections) {
  ServerLimits limits;
  limits.header_time = 400ms;
  limits.idle_time = 80ms;
  TestServer::run(
      echo,
      [](TestServer& test) -> Task<void> {
        auto silent = co_await test.connect();
        auto slow = co_await test.connect();
        const auto before = steady_clock::now();
        co_await slow->send("GET /");
        EXPECT_EQ(co_await silent->read_to_end(), "");
        EXPECT_LT(steady_clock::now() - before, 350ms);
        for (int i = 0; i < 100 && !slow->stream().has_unexpected_input(); ++i) {
          co_await slow->send("x");
          co_await async::sleep_for(10ms);
        }
        EXPECT_THAT(co_await slow->read_to_end(), StartsWith("HTTP/1.1 408 "));
        EXPECT_GT(steady_clock::now() - before, 390ms);
        EXPECT_LT(steady_clock::now() - before, 2s);
        auto kept = co_await test.connect();
        co_await kept->send("GET /" + std::string(host) + "\r\n");
        EXPECT_THAT(co_await kept->read_reply(), StartsWith("HTTP/1.1 200 "));
        EXPECT_EQ(co_await kept->read_to_end(), "");
        EXPECT_EQ(test.server().statistics().timed_out, 3u);
      },
      limits);
}

TEST(HttpLimits, CutsSlowBodies) {
  ServerLimits limits;
  limits.body_time = 200ms;
  limits.body_bytes_per_second = 1000;
  TestServer::run(
      echo,
      [](TestServer& test) -> Task<void> {
        const auto head = "POST /" + std::string(host) + "Content-Length: 5000\r\n\r\n";
        auto stopped = co_await test.connect();
        co_await stopped->send(head + "abc");
        const auto reply = co_await stopped->read_to_end();
        EXPECT_THAT(reply, StartsWith("HTTP/1.1 408 "));
        EXPECT_THAT(reply, HasSubstr("connection: close"));
        EXPECT_THAT(reply, HasSubstr("\"code\":\"request_timeout\""));
        auto dripping = co_await test.connect();
        auto steady = co_await test.connect();
        co_await dripping->send(head);
        co_await steady->send(head);
        for (int i = 0; i < 100; ++i) {
          co_await dripping->send("x");
          co_await steady->send(std::string(50, 'x'));
          co_await async::sleep_for(4ms);
        }
        EXPECT_THAT(co_await dripping->read_to_end(), StartsWith("HTTP/1.1 408 "));
        EXPECT_THAT(co_await steady->read_reply(), StartsWith("HTTP/1.1 200 "));
        EXPECT_EQ(test.server().statistics().timed_out, 2u);
      },
      limits);
}

TEST(HttpLimits, DropsClientsThatLeaveInTheirBody) {
  std::string cause;
  const auto handle = [&cause](const RequestHead&, BodyReader& body, ResponseWriter&) -> Task<void> {
    try {
      co_await body.read_all(1000);
    } catch (const ConnectionLost& lost) {
      cause = lost.what();
      throw;
    }
  };
  TestServer::run(handle, [&cause](TestServer& test) -> Task<void> {
    auto client = co_await test.connect();
    co_await client->send("POST /" + std::string(host) + "Content-Length: 10\r\n\r\nabc");
    client->stream().shutdown_write();
    EXPECT_EQ(co_await client->read_to_end(), "");
    EXPECT_EQ(cause, "the client left before the end of its request");
  });
}

}  // namespace
}  // namespace hearth::net
