// The ordinary life of a server: addresses, connections, framing, closing down.
#include "net/http_server.hpp"

#include <atomic>
#include <filesystem>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <gtest/gtest.h>

#include "base/api_error.hpp"
#include "net/test_server.hpp"

namespace hearth::net {
namespace {

using testing::echo;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ok;
using testing::RawClient;
using ::testing::StartsWith;
using testing::TestServer;
using namespace std::chrono_literals;

std::string get(std::string_view target, std::string_view extra = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: test\r\n" + std::string(extra) + "\r\n";
}
std::string post(std::string_view body, std::string_view extra = "") {
  return "POST /p HTTP/1.1\r\nHost: test\r\n" + std::string(extra) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
constexpr std::string_view close_after = "Connection: close\r\n";

TEST(HttpServer, ListensOnEveryKindOfAddress) {
  const auto path =
      (std::filesystem::temp_directory_path() / ("hearth_net_" + std::to_string(::getpid()))).string();
  const auto start = [&] {
    TestServer::run(
        echo,
        [&](TestServer& test) -> Task<void> {
          struct stat status{};
          EXPECT_EQ(::stat(path.c_str(), &status), 0);
          EXPECT_EQ(status.st_mode & 0777, 0600u);
          EXPECT_THAT(test.address(1), StartsWith("[::1]:"));
          EXPECT_EQ(test.address(2), "unix:" + path);
          for (std::size_t i = 0; i < 4; ++i) {
            HttpClient client(test.origin(i), {});
            ClientRequest request;
            request.target = "/x";
            request.body = "y";
            auto reply = co_await client.send(std::move(request));
            EXPECT_EQ(co_await reply->read_all(100), "POST /x y");
          }
          async::Runtime other(1);
          testing::LambdaHandler handler(echo);
          HttpServer second(other, handler, {});
          for (std::size_t i = 0; i < 4; ++i)
            EXPECT_THROW(second.listen({test.address(i), std::nullopt}), std::runtime_error);
          for (const auto* bad : {"127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "unix:", "127.0.0.1:1:1"})
            EXPECT_THROW(second.listen({bad, std::nullopt}), std::runtime_error) << bad;
          EXPECT_THROW(second.listen({"127.0.0.1:0", TlsOptions{"/nonexistent", "/nonexistent"}}),
                       std::runtime_error);
        },
        {}, 2, {{"127.0.0.1:0", {}}, {"[::1]:0", {}}, {"unix:" + path, {}}, {"localhost:0", {}}});
  };
  start();
  EXPECT_FALSE(std::filesystem::exists(path));
  // The socket file that a killed server leaves.
  {
    async::Runtime runtime(1);
    boost::asio::local::stream_protocol::acceptor dead(runtime.executor(0), path);
  }
  EXPECT_TRUE(std::filesystem::exists(path));
  start();
}

TEST(HttpServer, AnswersInOrderOnOneConnection) {
  TestServer::run(echo, [](TestServer& test) -> Task<void> {
    auto client = co_await test.connect();
    co_await client->send("\r\n" + get("/1") + post("two") + get("/3"));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("GET /1 "));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("POST /p two"));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("GET /3 "));
    for (const char c : post("slow", close_after))
      co_await client->send(std::string(1, c));
    const auto last = co_await client->read_to_end();
    EXPECT_THAT(last, StartsWith("HTTP/1.1 200 OK\r\ndate: "));
    EXPECT_THAT(last, HasSubstr("\r\nconnection: close\r\n"));
    EXPECT_THAT(last, EndsWith("POST /p slow"));
    EXPECT_EQ(test.server().statistics().accepted, 1u);
  });
}

TEST(HttpServer, ReadsChunkedAndLargeBodies) {
  TestServer::run(echo, [](TestServer& test) -> Task<void> {
    auto client = co_await test.connect();
    const std::string head = "POST /c HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    co_await client->send(head + "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n" + get("/n"));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("POST /c abcde"));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("GET /n "));
    std::string large(3'000'000, 'x');
    for (std::size_t i = 0; i < large.size(); i += 1000)
      large[i] = static_cast<char>('a' + i / 1000 % 26);
    co_await client->send(post(large));
    const auto reply = co_await client->read_reply();
    EXPECT_TRUE(reply.ends_with("POST /p " + large));
    co_await client->send(head + "2\r\nabXX");
    EXPECT_THAT(co_await client->read_to_end(), StartsWith("HTTP/1.1 400 "));
  });
}

TEST(HttpServer, ServesHeadOptionsAndOldClients) {
  const auto handle = [](const RequestHead& head, BodyReader& body, ResponseWriter& response) -> Task<void> {
    if (head.path() != "/stream") {
      co_await echo(head, body, response);
      co_return;
    }
    co_await response.begin(ok());
    EXPECT_TRUE(response.begun());
    co_await response.write("one ");
    co_await response.write("");
    co_await response.write("two");
    co_await response.end();
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    auto client = co_await test.connect();
    co_await client->send("HEAD /h HTTP/1.1\r\nHost: t\r\n\r\n" + get("/stream") +
                          "HEAD /stream HTTP/1.1\r\nHost: t\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n");
    const auto head = co_await client->read_until("\r\n\r\n");
    EXPECT_THAT(head, HasSubstr("content-length: 8\r\n"));
    EXPECT_THAT(co_await client->read_until("0\r\n\r\n"),
                EndsWith("\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"));
    EXPECT_THAT(co_await client->read_until("\r\n\r\n"), HasSubstr("transfer-encoding: chunked\r\n"));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("OPTIONS * "));
    const auto old = co_await test.exchange("GET /o HTTP/1.0\r\n\r\n");
    EXPECT_THAT(old, EndsWith("GET /o "));
    EXPECT_THAT(co_await test.exchange("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
                EndsWith("\r\n\r\none two"));
    auto kept = co_await test.connect();
    co_await kept->send("GET /o HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_THAT(co_await kept->read_reply(), HasSubstr("connection: keep-alive\r\n"));
    co_await kept->send("GET /o HTTP/1.0\r\n\r\n");
    EXPECT_THAT(co_await kept->read_to_end(), EndsWith("GET /o "));
  });
}

TEST(HttpServer, LosesNothingWhenAReaderIsCancelled) {
  const auto handle = [](const RequestHead& head, BodyReader& body, ResponseWriter& response) -> Task<void> {
    EXPECT_THROW(co_await async::with_deadline(20ms, body.read_all(100)), async::DeadlineExceeded);
    EXPECT_THROW(co_await async::with_deadline(20ms, response.closed()), async::DeadlineExceeded);
    co_await echo(head, body, response);
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    auto client = co_await test.connect();
    co_await client->send("POST /late HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n");
    co_await async::sleep_for(60ms);
    co_await client->send("hello");
    EXPECT_THAT(co_await client->read_reply(), EndsWith("POST /late hello"));
  });
}

TEST(HttpServer, SendsContinueOnlyToWhoIsRead) {
  const auto handle = [](const RequestHead& head, BodyReader& body, ResponseWriter& response) -> Task<void> {
    if (head.path() == "/no") throw ApiError::payload_too_large(1);
    co_await echo(head, body, response);
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    const std::string rest = " HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    auto client = co_await test.connect();
    co_await client->send("POST /yes" + rest);
    EXPECT_EQ(co_await client->read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    co_await client->send("hello");
    EXPECT_THAT(co_await client->read_reply(), EndsWith("POST /yes hello"));
    co_await client->send("POST /eager" + rest + "hello");
    EXPECT_THAT(co_await client->read_reply(), EndsWith("POST /eager hello"));
    co_await client->send("POST /no" + rest);
    const auto refused = co_await client->read_to_end();
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(refused, HasSubstr("connection: close"));
    EXPECT_THAT(refused, EndsWith(R"("param":null,"code":"request_too_large"}})"));
    EXPECT_THAT(co_await test.exchange(get("/", "Expect: tea\r\n")), StartsWith("HTTP/1.1 417 "));
  });
}

TEST(HttpServer, DealsWithBodiesThatNobodyRead) {
  const auto handle = [](const RequestHead&, BodyReader&, ResponseWriter& response) -> Task<void> {
    co_await response.send(ok(), "unread");
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    auto client = co_await test.connect();
    co_await client->send(post(std::string(60'000, 'x')) + get("/next"));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("unread"));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("unread"));
    // Too much to drain: the reply arrives whole, and the connection ends.
    co_await client->send(post(std::string(300'000, 'x')));
    const auto last = co_await client->read_to_end();
    EXPECT_THAT(last, HasSubstr("connection: close"));
    EXPECT_THAT(last, EndsWith("unread"));
    // The body is announced but never sent.
    auto silent = co_await test.connect();
    co_await silent->send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nabc");
    EXPECT_THAT(co_await silent->read_to_end(), EndsWith("unread"));
  });
}

TEST(HttpServer, SurvivesHandlersThatFail) {
  const auto handle = [](const RequestHead& head, BodyReader&, ResponseWriter& response) -> Task<void> {
    if (head.path() == "/throw") throw std::runtime_error("secret");
    if (head.path() == "/nothing") co_return;
    co_await response.begin(ok());
    co_await response.write("part");
    if (head.path() == "/late") throw std::runtime_error("secret");
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    for (const auto* path : {"/throw", "/nothing"}) {
      const auto reply = co_await test.exchange(get(path));
      EXPECT_THAT(reply, StartsWith("HTTP/1.1 500 "));
      EXPECT_THAT(reply, HasSubstr("\"code\":\"internal_error\""));
      EXPECT_THAT(reply, Not(HasSubstr("secret")));
    }
    EXPECT_THAT(co_await test.exchange(get("/late")), EndsWith("\r\n\r\n4\r\npart\r\n"));
    EXPECT_THAT(co_await test.exchange(get("/no_end")), EndsWith("\r\n\r\n4\r\npart\r\n"));
    // With HTTP/1.0 only a reset tells that the body is not complete.
    auto old = co_await test.connect();
    co_await old->send("GET /no_end HTTP/1.0\r\n\r\n");
    co_await old->read_to_end();
    EXPECT_EQ(old->last_error(), boost::asio::error::connection_reset);
  });
}

TEST(HttpServer, KeepsHeadersApart) {
  const auto handle = [](const RequestHead&, BodyReader&, ResponseWriter& response) -> Task<void> {
    auto head = ok();
    head.headers.add("x-value", "a\r\nx-injected: b");
    head.headers.add("Content-Length", "1");
    head.headers.add("Transfer-Encoding", "chunked");
    co_await response.send(std::move(head), "body");
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    const auto reply = co_await test.exchange(get("/", close_after));
    EXPECT_THAT(reply, HasSubstr("x-value: a  x-injected: b\r\n"));
    EXPECT_THAT(reply, HasSubstr("content-length: 4\r\n"));
    EXPECT_THAT(reply, Not(HasSubstr("Content-Length")));
    EXPECT_THAT(reply, Not(HasSubstr("ransfer-")));
  });
}

TEST(HttpServer, NoticesClientsThatLeave) {
  using namespace boost::asio::experimental::awaitable_operators;
  struct Seen {
    int left = 0;
    int finished = 0;
  } seen;
  const auto handle = [&seen](const RequestHead& head, BodyReader& body,
                              ResponseWriter& response) -> Task<void> {
    const auto work = [](const RequestHead& h, BodyReader& b, ResponseWriter& r) -> Task<void> {
      if (h.path() == "/quick") {
        co_await async::sleep_for(20ms);
        co_await echo(h, b, r);
        co_return;
      }
      if (h.path() == "/stream") co_await r.begin(ok());
      co_await async::sleep_for(10s);
    };
    const auto outcome = co_await (work(head, body, response) || response.closed());
    outcome.index() == 1 ? ++seen.left : ++seen.finished;
  };
  TestServer::run(handle, [&seen](TestServer& test) -> Task<void> {
    // Requests that follow while one is running are kept for later.
    auto client = co_await test.connect();
    co_await client->send(get("/quick?1"));
    co_await async::sleep_for(5ms);
    co_await client->send(post("2", "X: y\r\n").replace(5, 2, "/quick"));
    co_await client->send(get("/quick?3"));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("?1 "));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("/quick 2"));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("?3 "));
    EXPECT_EQ(seen.finished, 3);
    for (const auto* path : {"/compute", "/stream"}) {
      for (const bool reset : {false, true}) {
        auto leaver = co_await test.connect();
        co_await leaver->send(get(path));
        co_await async::sleep_for(20ms);
        reset ? leaver->stream().reset() : leaver->close();
      }
      // Its body is not read, so its socket is asked instead.
      auto sender = co_await test.connect();
      co_await sender->send("POST " + std::string(path) +
                            " HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc");
      co_await async::sleep_for(20ms);
      sender->close();
    }
    for (int i = 0; i < 100 && seen.left < 6; ++i)
      co_await async::sleep_for(10ms);
    EXPECT_EQ(seen.left, 6);
  });
}

TEST(HttpServer, StopsWritingToClientsThatLeft) {
  int lost = 0;
  const auto handle = [&lost](const RequestHead&, BodyReader&, ResponseWriter& response) -> Task<void> {
    co_await response.begin(ok());
    try {
      for (int i = 0; i < 1000; ++i) {
        co_await response.write(std::string(100'000, 'x'));
        co_await async::sleep_for(1ms);
      }
    } catch (const ConnectionLost&) {
      ++lost;
      throw;
    }
  };
  ServerLimits limits;
  limits.write_time = 50ms;
  TestServer::run(
      handle,
      [&lost](TestServer& test) -> Task<void> {
        auto leaver = co_await test.connect();
        co_await leaver->send(get("/"));
        co_await leaver->read_until("\r\n\r\n");
        leaver->close();
        auto stuck = co_await test.connect();
        co_await stuck->send(get("/"));
        for (int i = 0; i < 300 && lost < 2; ++i)
          co_await async::sleep_for(10ms);
        EXPECT_EQ(lost, 2);
        EXPECT_EQ(test.server().statistics().timed_out, 1u);
      },
      limits);
}

TEST(HttpServer, ShutsDownInGoodOrder) {
  std::atomic<int> cancelled = 0;
  const auto handle = [&cancelled](const RequestHead& head, BodyReader& body,
                                   ResponseWriter& response) -> Task<void> {
    struct OnExit {
      std::atomic<int>& count;
      bool done = false;
      ~OnExit() { count += done ? 0 : 1; }
    } on_exit{cancelled};
    co_await async::sleep_for(head.path() == "/long" ? 20s : 300ms);
    on_exit.done = true;
    co_await echo(head, body, response);
  };
  for (const std::size_t loops : {1, 3}) {
    cancelled = 0;
    TestServer::run(
        handle,
        [](TestServer& test) -> Task<void> {
          auto idle = co_await test.connect();
          auto fresh = co_await test.connect();
          auto quick = co_await test.connect();
          auto slow = co_await test.connect();
          co_await idle->send(get("/idle"));
          co_await idle->read_reply();
          co_await quick->send(get("/quick"));
          co_await slow->send(get("/long"));
          co_await async::sleep_for(30ms);
          const auto before = std::chrono::steady_clock::now();
          test.server().shutdown(700ms);
          EXPECT_EQ(co_await idle->read_to_end(), "");
          EXPECT_EQ(co_await fresh->read_to_end(), "");
          EXPECT_LT(std::chrono::steady_clock::now() - before, 250ms);
          const auto reply = co_await quick->read_to_end();
          EXPECT_THAT(reply, HasSubstr("connection: close\r\n"));
          EXPECT_THAT(reply, EndsWith("GET /quick "));
          EXPECT_EQ(co_await slow->read_to_end(), "");
          EXPECT_LT(std::chrono::steady_clock::now() - before, 2s);
        },
        {}, loops);
    EXPECT_EQ(cancelled, 1);
  }
}

TEST(HttpServer, HoldsAThousandSilentConnections) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
  ::setrlimit(RLIMIT_NOFILE, &files);
  constexpr std::size_t count = 1000;
  ServerLimits limits;
  limits.connections = count + 1;
  TestServer::run(
      echo,
      [](TestServer& test) -> Task<void> {
        std::vector<std::unique_ptr<RawClient>> silent;
        for (std::size_t i = 0; i < count; ++i)
          silent.push_back(co_await test.connect());
        for (int i = 0; i < 10; ++i) {
          EXPECT_THAT(co_await test.exchange(get("/", close_after)), EndsWith("GET / "));
          // Its session may end a little later than the client sees.
          for (int j = 0; j < 400 && test.server().statistics().open_connections > count; ++j)
            co_await async::sleep_for(1ms);
        }
        EXPECT_EQ(test.server().statistics().refused, 0u);
        auto last = co_await test.connect();
        co_await last->send(get("/"));
        EXPECT_THAT(co_await last->read_reply(), EndsWith("GET / "));
        auto refused = co_await test.connect();
        const auto reply = co_await refused->read_to_end();
        EXPECT_THAT(reply, StartsWith("HTTP/1.1 503 "));
        EXPECT_THAT(reply, EndsWith("\"code\":\"too_busy\"}}"));
        EXPECT_EQ(test.server().statistics().open_connections, count + 1);
        EXPECT_EQ(test.server().statistics().refused, 1u);
      },
      limits, 2);
}

}  // namespace
}  // namespace hearth::net
