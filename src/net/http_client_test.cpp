#include "net/http_client.hpp"

#include <atomic>
#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include "net/test_server.hpp"

namespace hearth::net {
namespace {

using testing::echo;
using ::testing::HasSubstr;
using testing::ok;
using testing::RawClient;
using testing::ScriptedServer;
using ::testing::StartsWith;
using testing::TestServer;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

ClientRequest post(std::string target, std::string body = "") {
  ClientRequest request;
  request.target = std::move(target);
  request.body = std::move(body);
  return request;
}

// The reply's body; "<stage> failed" when there is none.
Task<std::string> ask(HttpClient& client, ClientRequest request, std::size_t limit = 1'000'000) {
  try {
    auto reply = co_await client.send(std::move(request));
    co_return co_await reply->read_all(limit);
  } catch (const ClientError& error) {
    constexpr std::array names{"connecting", "sending", "waiting_for_header", "reading_body"};
    co_return std::string(names[static_cast<std::size_t>(error.stage())]) + " failed";
  }
}

TEST(Origin, ReadsTheThreeForms) {
  std::string path;
  EXPECT_EQ(Origin::parse("http://a.example/v1?b#c", &path), (Origin{"http", "a.example", 80}));
  EXPECT_EQ(path, "/v1?b#c");
  EXPECT_EQ(Origin::parse("https://127.0.0.1"), (Origin{"https", "127.0.0.1", 443}));
  EXPECT_EQ(Origin::parse("https://[::1]:8443/"), (Origin{"https", "::1", 8443}));
  EXPECT_EQ(Origin::parse("unix:/run/a.sock", &path), (Origin{"unix", "/run/a.sock", 0}));
  EXPECT_EQ(path, "");
}

TEST(Origin, RefusesWhatNobodyConnectsTo) {
  for (const std::string_view url : {"",
                                     "ftp://a",
                                     "a.example",
                                     "http://",
                                     "http://:80",
                                     "http://user@a",
                                     "http://a b",
                                     "http://a%20b",
                                     "http://a:",
                                     "http://a:0",
                                     "http://a:65536",
                                     "http://a:8x",
                                     "http://a:-1",
                                     "http://a\r\nb",
                                     "http://[",
                                     "http://[]",
                                     "http://[::1",
                                     "http://[::1]x",
                                     "http://[[(2]",
                                     "http://[a]",
                                     "http://[v1.a]",
                                     "http://a]b",
                                     "unix:",
                                     "unix:a.sock",
                                     "unix:/"}) {
    EXPECT_EQ(Origin::parse(url), std::nullopt) << url;
  }
}

TEST(HttpClient, AsksAndReusesItsConnection) {
  TestServer::run(echo, [](TestServer& test) -> Task<void> {
    HttpClient client(test.origin(), {});
    for (int i = 0; i < 3; ++i) {
      auto reply = co_await client.send(post("/a?b=c", "hello"));
      EXPECT_EQ(reply->head().status, 200);
      EXPECT_EQ(reply->head().headers.get("Content-Type"), "text/plain");
      EXPECT_EQ(co_await reply->read_all(1000), "POST /a?b=c hello");
    }
    ClientRequest head;
    head.method = "HEAD";
    EXPECT_EQ(co_await ask(client, std::move(head)), "");
    const std::string large(2'000'000, 'x');
    EXPECT_EQ(co_await ask(client, post("/", large), 3'000'000), "POST / " + large);
    EXPECT_EQ(test.server().statistics().accepted, 1u);
    // Two at a time need two connections; both are kept.
    auto one = co_await client.send(post("/", "1"));
    auto two = co_await client.send(post("/", "2"));
    EXPECT_EQ(co_await two->read_all(100), "POST / 2");
    EXPECT_EQ(co_await one->read_all(100), "POST / 1");
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(co_await ask(client, post("/", "3")), "POST / 3");
    EXPECT_EQ(test.server().statistics().accepted, 2u);
    client.close_idle();
    EXPECT_EQ(co_await ask(client, post("/", "4")), "POST / 4");
    EXPECT_EQ(test.server().statistics().accepted, 3u);
  });
}

TEST(HttpClient, SendsWhatAServerExpects) {
  std::string seen;
  ScriptedServer::run(
      [&seen](RawClient& peer, int) -> Task<void> {
        seen = co_await peer.read_until("body");
        co_await peer.send(
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: "
            "close\r\n\r\nok");
      },
      [&seen](Origin origin) -> Task<void> {
        HttpClient client(origin, {});
        auto request = post("/t", "body");
        request.headers.add("x-a", "b");
        request.headers.add("Content-Length", "99");
        request.headers.add("Connection", "close");
        EXPECT_EQ(co_await ask(client, std::move(request)), "ok");
        EXPECT_EQ(seen, "POST /t HTTP/1.1\r\nhost: " + origin.host_header() +
                            "\r\nx-a: b\r\ncontent-length: 4\r\n\r\nbody");
      });
}

TEST(HttpClient, ReadsEveryFraming) {
  ScriptedServer::run(
      [](RawClient& peer, int) -> Task<void> {
        const auto request = co_await peer.read_until("\r\n\r\n");
        std::string reply = "HTTP/1.1 204 No Content\r\n\r\n";
        if (request.find("/chunked") != std::string::npos) {
          reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        }
        if (request.find("/until_close") != std::string::npos) reply = "HTTP/1.0 200 OK\r\n\r\nuntil close";
        for (const char c : reply)
          co_await peer.send(std::string(1, c));
        peer.stream().shutdown_write();
      },
      [](Origin origin) -> Task<void> {
        HttpClient client(origin, {});
        EXPECT_EQ(co_await ask(client, post("/chunked")), "abc");
        EXPECT_EQ(co_await ask(client, post("/until_close")), "until close");
        EXPECT_EQ(co_await ask(client, post("/nothing")), "");
      });
}

TEST(HttpClient, TellsWhereItFailed) {
  const auto script = [](RawClient& peer, int) -> Task<void> {
    const auto request = co_await peer.read_until("\r\n\r\n");
    const auto is = [&request](std::string_view path) { return request.find(path) != std::string::npos; };
    if (is("/cut_length")) co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    if (is("/cut_chunk"))
      co_await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    if (is("/cut_header")) co_await peer.send("HTTP/1.1 200 OK\r\nContent-");
    if (is("/nonsense")) co_await peer.send("SSH-2.0-OpenSSH\r\n");
    if (is("/large")) {
      co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + std::string(100'000, 'x'));
    }
    if (is("/late_body")) co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    if (is("/late")) co_await async::sleep_for(5s);
    if (is("/refuse")) {
      co_await peer.send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig");
      peer.stream().shutdown_write();
      co_await async::sleep_for(600ms);
    }
  };
  ScriptedServer::run(script, [](Origin origin) -> Task<void> {
    HttpClient client(origin, {.connect = 1s, .header = 250ms, .between_bytes = 250ms});
    EXPECT_EQ(co_await ask(client, post("/cut_length")), "reading_body failed");
    EXPECT_EQ(co_await ask(client, post("/cut_chunk")), "reading_body failed");
    EXPECT_EQ(co_await ask(client, post("/cut_header")), "waiting_for_header failed");
    EXPECT_EQ(co_await ask(client, post("/cut")), "waiting_for_header failed");
    EXPECT_EQ(co_await ask(client, post("/nonsense")), "waiting_for_header failed");
    EXPECT_EQ(co_await ask(client, post("/large"), 50'000), "reading_body failed");
    EXPECT_EQ(co_await ask(client, post("/late")), "waiting_for_header failed");
    EXPECT_EQ(co_await ask(client, post("/late_body")), "reading_body failed");
    EXPECT_EQ(co_await ask(client, post("/refuse", std::string(20'000'000, 'x'))), "big");
    HttpClient nobody({"http", "127.0.0.1", 1}, {});
    EXPECT_EQ(co_await ask(nobody, post("/")), "connecting failed");
    HttpClient nowhere({"unix", "/nonexistent/socket", 0}, {});
    EXPECT_EQ(co_await ask(nowhere, post("/")), "connecting failed");
    HttpClient endless({"unix", "/" + std::string(200, 'x'), 0}, {});
    EXPECT_EQ(co_await ask(endless, post("/")), "connecting failed");
  });
}

TEST(HttpClient, ReplacesStaleConnections) {
  constexpr std::string_view reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  int requests = 0;
  const auto script = [&requests, reply](RawClient& peer, int connection) -> Task<void> {
    for (;;) {
      const auto request = co_await peer.read_until("\r\n\r\n");
      if (request.empty()) co_return;
      ++requests;
      // The first connection ends without a reply once it is used again, as when a server restarts.
      if (connection == 0 && requests == 2) co_return;
      if (connection == 1 && requests == 4) {
        co_await peer.send("HTTP/1.1");
        co_return;
      }
      co_await peer.send(std::string(reply));
      if (connection == 2) co_return;
    }
  };
  ScriptedServer::run(script, [&requests](Origin origin) -> Task<void> {
    HttpClient client(origin, {});
    EXPECT_EQ(co_await ask(client, post("/1")), "ok");
    EXPECT_EQ(co_await ask(client, post("/2")), "ok");
    EXPECT_EQ(requests, 3);
    // A reply that broke off was begun: nobody knows what the server did, so it is not sent again.
    EXPECT_EQ(co_await ask(client, post("/4")), "waiting_for_header failed");
    EXPECT_EQ(requests, 4);
    EXPECT_EQ(co_await ask(client, post("/5")), "ok");
    co_await async::sleep_for(20ms);
    EXPECT_EQ(co_await ask(client, post("/6")), "ok");
    EXPECT_EQ(requests, 6);
  });
}

TEST(HttpClient, ClosesWhatItGivesUp) {
  int told = 0;
  const auto script = [&told](RawClient& peer, int) -> Task<void> {
    const auto request = co_await peer.read_until("\r\n\r\n");
    if (request.find("/stream") != std::string::npos) {
      co_await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    }
    co_await peer.read_to_end();
    ++told;
  };
  ScriptedServer::run(script, [&told](Origin origin) -> Task<void> {
    HttpClient client(origin, {});
    auto reply = co_await client.send(post("/stream"));
    std::array<char, 10> piece;
    EXPECT_EQ(co_await reply->read_some(piece), 1u);
    reply.reset();
    for (int i = 0; i < 200 && told < 1; ++i)
      co_await async::sleep_for(5ms);
    EXPECT_EQ(told, 1);
    const auto before = steady_clock::now();
    for (const auto* path : {"/", "/stream"}) {
      try {
        co_await async::with_deadline(20ms, ask(client, post(path)));
        ADD_FAILURE() << "the request cannot end";
      } catch (const async::DeadlineExceeded&) {
      }
    }
    EXPECT_LT(steady_clock::now() - before, 1s);
    for (int i = 0; i < 200 && told < 3; ++i)
      co_await async::sleep_for(5ms);
    EXPECT_EQ(told, 3);
  });
}

TEST(HttpClient, ClosesConnectionsThatNobodyNeeds) {
  TestServer::run(echo, [](TestServer& test) -> Task<void> {
    HttpClient client(test.origin(), {.idle = 200ms});
    auto one = co_await client.send(post("/", "1"));
    auto two = co_await client.send(post("/", "2"));
    auto three = co_await client.send(post("/", "3"));
    for (auto* reply : {&one, &two, &three})
      co_await (*reply)->read_all(100);
    EXPECT_EQ(test.server().statistics().open_connections, 3u);
    // The busy one is always the last that was used; the others grow old behind it.
    for (int i = 0; i < 200 && test.server().statistics().open_connections > 1; ++i) {
      EXPECT_EQ(co_await ask(client, post("/", "4")), "POST / 4");
      co_await async::sleep_for(10ms);
    }
    EXPECT_EQ(test.server().statistics().open_connections, 1u);
    EXPECT_EQ(test.server().statistics().accepted, 3u);
  });
}

TEST(HttpClient, WorksFromEveryLoop) {
  std::atomic<int> answered = 0;
  TestServer::run(
      echo,
      [&answered](TestServer& test) -> Task<void> {
        async::Runtime clients(3);
        HttpClient client(test.origin(), {}, 1);  // one idle connection for each loop
        const auto work = [](HttpClient& c, std::atomic<int>& count) -> Task<void> {
          for (int i = 0; i < 50; ++i)
            count += co_await ask(c, post("/", "x")) == "POST / x" ? 1 : 0;
        };
        clients.start();
        boost::asio::co_spawn(clients.executor(1), work(client, answered), boost::asio::detached);
        boost::asio::co_spawn(clients.executor(2), work(client, answered), boost::asio::detached);
        co_await work(client, answered);
        for (int i = 0; i < 6000 && answered < 150; ++i)
          co_await async::sleep_for(5ms);
        EXPECT_EQ(answered, 150);
        EXPECT_EQ(test.server().statistics().accepted, 3u);
        clients.stop();
      },
      {}, 2);
  EXPECT_EQ(answered, 150);
}

}  // namespace
}  // namespace hearth::net
