// Bodies that are made while they are sent.
#include <atomic>
#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "net/http_client.hpp"
#include "net/test_server.hpp"

namespace hearth::net {
namespace {

using testing::ok;
using testing::RawClient;
using testing::ScriptedServer;
using testing::TestServer;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// `size` bytes in pieces of at most `piece`; may wait, fail and be rewound.
class Letters final : public BodySource {
 public:
  explicit Letters(std::size_t size, std::size_t piece = 10'000) : size_(size), piece_(piece) {}

  Task<std::size_t> read_some(std::span<char> out) override {
    if (given_ >= fails_at) throw std::runtime_error("the source has failed");
    if (given_ >= waits_at) {
      waiting = true;
      co_await async::sleep_for(60s);
    }
    const std::size_t size = std::min({out.size(), piece_, size_ - given_});
    for (std::size_t i = 0; i < size; ++i)
      out[i] = letter(given_ + i);
    given_ += size;
    co_return size;
  }
  bool rewind() override {
    if (!rewindable) return false;
    given_ = 0;
    ++rewinds;
    return true;
  }

  static char letter(std::size_t at) { return static_cast<char>('a' + at * 7 % 26); }
  static std::string text(std::size_t size) {
    std::string out(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
      out[i] = letter(i);
    return out;
  }

  std::size_t given() const { return given_; }

  std::size_t fails_at = ~std::size_t{0};
  std::size_t waits_at = ~std::size_t{0};
  bool rewindable = false;
  bool waiting = false;
  int rewinds = 0;

 private:
  std::size_t size_;
  std::size_t piece_;
  std::size_t given_ = 0;
};

ClientRequest streamed(BodySource& source, std::optional<std::uint64_t> size = std::nullopt) {
  ClientRequest request;
  request.target = "/upload";
  request.source = &source;
  request.source_size = size;
  return request;
}

// What sending comes to: the reply's status and body, or where and how it failed.
Task<std::string> ask(HttpClient& client, ClientRequest request) {
  try {
    const auto reply = co_await client.send(std::move(request));
    co_return std::to_string(reply->head().status) + " " + co_await reply->read_all(100'000'000);
  } catch (const ClientError& error) {
    constexpr std::array names{"connecting", "sending", "waiting_for_header", "reading_body"};
    co_return std::string(names[static_cast<std::size_t>(error.stage())]) + " failed: " + error.what();
  } catch (const std::runtime_error& error) {
    co_return error.what();
  }
}

// Answers with the framing and the length of what came, after having compared it.
Task<void> measure(const RequestHead& head, BodyReader& body, ResponseWriter& response) {
  std::vector<char> buffer(5000);
  std::size_t size = 0;
  bool same = true;
  while (const std::size_t got = co_await body.read_some(buffer)) {
    for (std::size_t i = 0; i < got; ++i)
      same = same && buffer[i] == Letters::letter(size + i);
    size += got;
  }
  co_await response.send(ok(), std::string(head.content_length ? "sized " : "chunked ") +
                                   std::to_string(size) + (same ? "" : ", other bytes"));
}

TEST(HttpClientStream, SendsBothFramingsOfAnySize) {
  TestServer::run(measure, [](TestServer& test) -> Task<void> {
    HttpClient client(test.origin(), {});
    for (const std::size_t size : {0UL, 1UL, 65'535UL, 65'536UL, 65'537UL, 2'000'000UL}) {
      for (const std::size_t piece : {std::size_t{1}, std::size_t{9'999}, std::size_t{1'000'000}}) {
        if (piece == 1 && size > 100'000) continue;
        Letters sized(size, piece);
        Letters chunked(size, piece);
        EXPECT_EQ(co_await ask(client, streamed(sized, size)), "200 sized " + std::to_string(size));
        EXPECT_EQ(co_await ask(client, streamed(chunked)), "200 chunked " + std::to_string(size));
      }
    }
  });
}

TEST(HttpClientStream, KeepsItsConnection) {
  TestServer::run(measure, [](TestServer& test) -> Task<void> {
    HttpClient client(test.origin(), {});
    Letters letters(100);
    letters.rewindable = true;
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(co_await ask(client, streamed(letters, 100)), "200 sized 100");
    EXPECT_EQ(test.server().statistics().accepted, 1u);
    // What cannot be rewound risks no stale connection, but leaves its own to the others.
    Letters once(100);
    EXPECT_EQ(co_await ask(client, streamed(once, 100)), "200 sized 100");
    EXPECT_EQ(test.server().statistics().accepted, 2u);
    EXPECT_EQ(co_await ask(client, streamed(letters)), "200 chunked 100");
    EXPECT_EQ(test.server().statistics().accepted, 2u);
  });
}

TEST(HttpClientStream, GivesNoMoreThanItSaid) {
  TestServer::run(measure, [](TestServer& test) -> Task<void> {
    HttpClient client(test.origin(), {});
    Letters longer(1000);
    EXPECT_EQ(co_await ask(client, streamed(longer, 600)), "200 sized 600");
    Letters shorter(10);
    bool refused = false;
    try {
      co_await client.send(streamed(shorter, 600));
    } catch (const std::logic_error&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
  });
}

TEST(HttpClientStream, ASourceThatFailsEndsTheRequest) {
  std::atomic<int> broken = 0;
  const auto handle = [&broken](const RequestHead&, BodyReader& body, ResponseWriter&) -> Task<void> {
    try {
      co_await body.read_all(10'000'000);
    } catch (const ConnectionLost&) {
      ++broken;
      throw;
    }
    ADD_FAILURE() << "a body that broke off was taken for whole";
  };
  TestServer::run(handle, [&broken](TestServer& test) -> Task<void> {
    HttpClient client(test.origin(), {});
    for (const bool sized : {false, true}) {
      Letters letters(1'000'000);
      letters.fails_at = 300'000;
      EXPECT_EQ(co_await ask(client, streamed(letters, sized ? std::optional(1'000'000UL) : std::nullopt)),
                "the source has failed");
    }
    for (int i = 0; i < 200 && broken < 2; ++i)
      co_await async::sleep_for(10ms);
    EXPECT_EQ(broken, 2);
  });
}

// The server answers by the head and reads nothing more: neither side waits for the other.
TEST(HttpClientStream, TakesAnEarlyReply) {
  const auto script = [](RawClient& peer, int) -> Task<void> {
    const auto head = co_await peer.read_until("\r\n\r\n");
    co_await peer.send(
        "HTTP/1.1 100 Continue\r\n\r\n"
        "HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large");
    co_await async::sleep_for(500ms);  // and does not close either
  };
  ScriptedServer::run(script, [](Origin origin) -> Task<void> {
    HttpClient client(origin, {});
    Letters endless(std::size_t{1} << 40);
    EXPECT_EQ(co_await ask(client, streamed(endless)), "413 too large");
    EXPECT_LT(endless.given(), 64U << 20);
    // Also while nothing can be sent because the source has nothing.
    Letters slow(1'000'000);
    slow.waits_at = 10'000;
    EXPECT_EQ(co_await ask(client, streamed(slow, 1'000'000)), "413 too large");
    EXPECT_TRUE(slow.waiting);
  });
}

TEST(HttpClientStream, AConnectionWithHalfABodyIsNotUsedAgain) {
  std::atomic<int> connections = 0;
  const auto script = [&connections](RawClient& peer, int) -> Task<void> {
    ++connections;
    co_await peer.read_until("\r\n\r\n");
    co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    co_await peer.read_to_end();
  };
  ScriptedServer::run(script, [&connections](Origin origin) -> Task<void> {
    HttpClient client(origin, {});
    Letters letters(100'000'000);
    letters.rewindable = true;
    EXPECT_EQ(co_await ask(client, streamed(letters)), "200 ok");
    EXPECT_EQ(co_await ask(client, streamed(letters)), "200 ok");
    EXPECT_EQ(connections, 2);
  });
}

TEST(HttpClientStream, TellsWhereItFailed) {
  const auto script = [](RawClient& peer, int connection) -> Task<void> {
    co_await peer.read_until("\r\n\r\n");
    if (connection == 0) peer.stream().reset();
    if (connection == 1) co_await peer.send("SMTP ready\r\n\r\n");
    if (connection == 2) co_await peer.read_until("0\r\n\r\n");  // all of it, and leaves
    if (connection == 3) co_await async::sleep_for(5s);          // takes nothing
  };
  ScriptedServer::run(script, [](Origin origin) -> Task<void> {
    HttpClient client(origin, {.between_bytes = 200ms});
    Letters cut(100'000'000);
    EXPECT_THAT(co_await ask(client, streamed(cut)), StartsWith("sending failed"));
    Letters nonsense(100'000'000);
    EXPECT_THAT(co_await ask(client, streamed(nonsense)), HasSubstr("not an HTTP reply"));
    Letters whole(100);
    EXPECT_THAT(co_await ask(client, streamed(whole)), StartsWith("waiting_for_header failed"));
    Letters stuck(100'000'000);
    EXPECT_THAT(co_await ask(client, streamed(stuck)), StartsWith("sending failed: Connection timed out"));
    client.close_idle();
  });
  ScriptedServer::run([](RawClient&, int) -> Task<void> { co_return; },
                      [](Origin origin) -> Task<void> {
                        HttpClient client({"http", "127.0.0.1", 1}, {});
                        Letters letters(10);
                        EXPECT_THAT(co_await ask(client, streamed(letters)), StartsWith("connecting failed"));
                        EXPECT_EQ(letters.given(), 0u);
                        (void)origin;
                      });
}

// A kept connection that the server closes when it sees the next request: only what can be rewound is sent
// anew.
TEST(HttpClientStream, RewindsForAStaleConnection) {
  const auto script = [](RawClient& peer, int connection) -> Task<void> {
    const auto answer = [](RawClient& to, std::string body) -> Task<void> {
      co_await to.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                       body);
    };
    co_await peer.read_until("0\r\n\r\n");
    co_await answer(peer, "connection " + std::to_string(connection));
    co_await peer.read_until("\r\n\r\n");
    peer.stream().reset();
  };
  ScriptedServer::run(script, [](Origin origin) -> Task<void> {
    HttpClient client(origin, {});
    Letters letters(500'000);
    letters.rewindable = true;
    EXPECT_EQ(co_await ask(client, streamed(letters)), "200 connection 0");
    EXPECT_EQ(co_await ask(client, streamed(letters)), "200 connection 1");
    EXPECT_GE(letters.rewinds, 3);
    Letters once(500'000);
    EXPECT_EQ(co_await ask(client, streamed(once)), "200 connection 2");
  });
}

TEST(HttpClientStream, ASlowServerSlowsTheSource) {
  const auto handle = [](const RequestHead&, BodyReader& body, ResponseWriter& response) -> Task<void> {
    std::vector<char> buffer(1000);
    co_await body.read_some(buffer);
    co_await async::sleep_for(300ms);
    co_await response.send(ok(), "enough");
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    HttpClient client(test.origin(), {});
    Letters letters(std::size_t{1} << 40);
    EXPECT_EQ(co_await ask(client, streamed(letters)), "200 enough");
    EXPECT_LT(letters.given(), 64U << 20);  // what the system's buffers hold
  });
}

TEST(HttpClientStream, IsCancelledWhereverItIs) {
  const auto handle = [](const RequestHead&, BodyReader& body, ResponseWriter& response) -> Task<void> {
    co_await async::run_unless(async::sleep_for(10s), response.closed());
    (void)body;
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    HttpClient client(test.origin(), {});
    for (const bool waits : {false, true}) {
      Letters letters(std::size_t{1} << 40);
      if (waits) letters.waits_at = 1000;
      bool late = false;
      try {
        co_await async::with_deadline(100ms, client.send(streamed(letters)));
      } catch (const async::DeadlineExceeded&) {
        late = true;
      }
      EXPECT_TRUE(late);
    }
  });
}

TEST(HttpServerSized, RepliesOfAKnownLengthAreStreamed) {
  const auto handle = [](const RequestHead& head, BodyReader&, ResponseWriter& response) -> Task<void> {
    co_await response.begin(ok(), 200'000);
    if (head.method != "HEAD") {
      for (std::size_t at = 0; at < 200'000; at += 50'000)
        co_await response.write(Letters::text(200'000).substr(at, 50'000));
    }
    co_await response.end();
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    HttpClient client(test.origin(), {});
    for (int i = 0; i < 2; ++i) {
      ClientRequest get;
      get.method = "GET";
      const auto reply = co_await client.send(std::move(get));
      EXPECT_EQ(reply->head().headers.get("content-length"), "200000");
      EXPECT_TRUE(co_await reply->read_all(1'000'000) == Letters::text(200'000));
      ClientRequest head;
      head.method = "HEAD";
      const auto described = co_await client.send(std::move(head));
      EXPECT_EQ(described->head().headers.get("content-length"), "200000");
    }
    EXPECT_EQ(test.server().statistics().accepted, 1u);
    const auto old = co_await test.exchange("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    EXPECT_THAT(old, HasSubstr("content-length: 200000\r\n"));
  });
}

TEST(HttpServerSized, AnotherLengthThanToldIsCutOff) {
  const auto handle = [](const RequestHead& head, BodyReader&, ResponseWriter& response) -> Task<void> {
    co_await response.begin(ok(), 10);
    co_await response.write(head.target == "/short" ? "123" : "1234567890");
    if (head.target == "/long") co_await response.write("1");
    if (head.target == "/twice") co_await response.begin(ok(), 10);
    if (head.target != "/unended") co_await response.end();
  };
  TestServer::run(handle, [](TestServer& test) -> Task<void> {
    for (const char* path : {"/short", "/long", "/twice", "/unended"}) {
      const auto reply = co_await test.exchange("GET " + std::string(path) +
                                                " HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n");
      // Never more than was told, and nothing on the connection afterwards.
      const auto body = reply.substr(reply.find("\r\n\r\n") + 4);
      EXPECT_LE(body.size(), 10u) << path;
    }
  });
}

}  // namespace
}  // namespace hearth::net
