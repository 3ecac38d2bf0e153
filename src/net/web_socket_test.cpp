// Open WebSockets over real connections.
#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "async/interruptible.hpp"
#include "net/test_socket.hpp"
#include "net/web_socket_cases.hpp"

namespace hearth::net {
namespace {

using testing::close_frame;
using testing::frame;
using testing::SocketClient;
using testing::SocketServer;
using testing::TestServer;
using namespace std::chrono_literals;
namespace opcode = testing::opcode;

// Waits until `done` says so, for five seconds at the most.
Task<bool> eventually(std::function<bool()> done) {
  for (int i = 0; i < 1000 && !done(); ++i)
    co_await async::sleep_for(5ms);
  co_return done();
}

// What the server says until the connection's end, as the cases write it.
Task<std::vector<std::string>> replies_of(SocketClient& client) {
  std::vector<std::string> replies;
  while (auto got = co_await client.read()) {
    EXPECT_TRUE(got->final);
    if (got->code == opcode::text) replies.push_back("text:" + got->payload);
    if (got->code == opcode::binary) replies.push_back("binary:" + got->payload);
    if (got->code == opcode::pong) replies.push_back("ping:" + got->payload);
    if (got->code == opcode::close) replies.push_back("close:" + std::to_string(got->close_code()));
  }
  co_return replies;
}

// The same as an echoing server must say it.
std::vector<std::string> echoed(const std::vector<std::string>& events) {
  std::vector<std::string> replies;
  for (const auto& event : events) {
    if (event.starts_with("pong:")) continue;
    if (event.starts_with("failed:")) {
      replies.push_back("close:" + event.substr(7));
    } else if (event.starts_with("close:")) {
      const auto code = event.substr(6, event.find(':', 6) - 6);
      replies.push_back("close:" + (code == "1005" ? "0" : code));
    } else {
      replies.push_back(event);
    }
  }
  if (replies.empty() || !replies.back().starts_with("close:")) replies.push_back("close:1000");
  return replies;
}

TEST(WebSocket, AnswersEveryCase) {
  const SocketOptions options{.message_bytes = testing::case_message_bytes};
  TestServer::run(SocketServer::talk(SocketServer::echo, options), [](TestServer& server) -> Task<void> {
    for (const auto& one : testing::socket_cases()) {
      auto client = co_await SocketClient::open(server);
      const auto& last = one.expected.back();
      const bool ends = last.starts_with("close:") || last.starts_with("failed:");
      co_await client.send(ends ? one.bytes : one.bytes + close_frame(1000));
      const auto replies = co_await replies_of(client);
      EXPECT_TRUE(replies == echoed(one.expected))
          << one.name << ": " << ::testing::PrintToString(replies).substr(0, 400);
    }
  });
}

TEST(WebSocket, TakesBytesOneByOne) {
  TestServer::run(SocketServer::talk(SocketServer::echo), [](TestServer& server) -> Task<void> {
    auto client = co_await SocketClient::open(server);
    const auto bytes = frame(opcode::text, "sl", {.final = false}) + frame(opcode::ping, "p") +
                       frame(opcode::continuation, "ow") + close_frame(1000, "done");
    for (const char byte : bytes)
      co_await client.send(std::string(1, byte));
    EXPECT_EQ(co_await replies_of(client), (std::vector<std::string>{"ping:p", "text:slow", "close:1000"}));
  });
}

TEST(WebSocket, ListensOnUnixSockets) {
  const auto path = "unix:" + ::testing::TempDir() + "hearth_web_socket_" + std::to_string(::getpid());
  TestServer::run(SocketServer::talk(SocketServer::echo),
                  [](TestServer& server) -> Task<void> {
                    auto client = co_await SocketClient::open(server);
                    co_await client.say("hello");
                    EXPECT_EQ(co_await client.read_text(), "hello");
                    co_await client.send(close_frame(1000));
                    EXPECT_EQ(co_await client.read_close(), 1000);
                  },
                  {}, 1, {{path, std::nullopt}});
}

struct Ended {
  std::vector<SocketEnd> ends;
  std::function<void(const SocketEnd&)> note() {
    return [this](const SocketEnd& end) { ends.push_back(end); };
  }
};

TEST(WebSocket, TellsHowItEnded) {
  Ended ended;
  TestServer::run(SocketServer::talk(SocketServer::echo, {}, ended.note()),
                  [&ended](TestServer& server) -> Task<void> {
                    auto polite = co_await SocketClient::open(server);
                    co_await polite.send(close_frame(4001, "enough"));
                    EXPECT_EQ(co_await polite.read_close(), 4001);
                    auto wrong = co_await SocketClient::open(server);
                    co_await wrong.send(frame(opcode::text, "\xFF"));
                    EXPECT_EQ(co_await wrong.read_close(), 1007);
                    auto cut = co_await SocketClient::open(server);
                    co_await cut.send(frame(opcode::text, "never whole").substr(0, 9));
                    cut.raw().close();
                    EXPECT_TRUE(co_await eventually([&] { return ended.ends.size() == 3; }));
                    if (ended.ends.size() != 3) co_return;
                    EXPECT_EQ(ended.ends[0].by, SocketEnd::By::client);
                    EXPECT_EQ(ended.ends[0].code, 4001);
                    EXPECT_EQ(ended.ends[0].reason, "enough");
                    EXPECT_EQ(ended.ends[1].by, SocketEnd::By::failure);
                    EXPECT_EQ(ended.ends[1].code, close_code::invalid_data);
                    EXPECT_EQ(ended.ends[2].by, SocketEnd::By::failure);
                    EXPECT_EQ(ended.ends[2].code, close_code::lost);
                  });
}

TEST(WebSocket, ClosesWhenTheConversationIsOver) {
  const auto handle = [](const RequestHead& head, BodyReader&, ResponseWriter& response) -> Task<void> {
    const auto talk = [](WebSocket& socket, std::string how) -> Task<void> {
      if (how == "/throws") throw std::runtime_error("broken");
      if (how == "/closes") co_await socket.close(4000, "as planned");
      if (how == "/closes") EXPECT_THROW(co_await socket.send({}), ConnectionLost);
    };
    co_await response.upgrade(SocketOffer::parse(head), {},
                              [&](WebSocket& socket) { return talk(socket, head.target); });
  };
  TestServer::run(handle, [](TestServer& server) -> Task<void> {
    const std::pair<std::string, int> expected[] = {{"/returns", 1000}, {"/throws", 1011}, {"/closes", 4000}};
    for (const auto& [target, code] : expected) {
      auto raw = co_await server.connect();
      co_await raw->send(testing::handshake("", target));
      co_await raw->read_until("\r\n\r\n");
      auto bytes = co_await raw->read_some();
      const auto close = testing::take_frame(bytes);
      EXPECT_TRUE(close && close->code == opcode::close && close->close_code() == code) << target;
      // What still comes is dropped until the client has said good-bye too; then the server ends it.
      co_await raw->send(frame(opcode::text, "late") + close_frame(code));
      EXPECT_EQ(co_await raw->read_to_end(), "") << target;
      EXPECT_EQ(raw->last_error(), boost::asio::error::eof) << target;
    }
  });
}

TEST(WebSocket, WaitsForAnAnswerToItsGoodbyeForALimitedTime) {
  ServerLimits limits;
  limits.socket_close_time = 50ms;
  Ended ended;
  TestServer::run(
      SocketServer::talk([](WebSocket& socket) { return socket.close(1000, "bye"); }, {}, ended.note()),
      [&ended](TestServer& server) -> Task<void> {
        auto client = co_await SocketClient::open(server);
        EXPECT_EQ(co_await client.read_close(), 1000);
        EXPECT_TRUE(co_await eventually([&] { return ended.ends.size() == 1; }));
        EXPECT_EQ(ended.ends.at(0).by, SocketEnd::By::server);
      },
      limits);
}

TEST(WebSocket, SaysGoodbyeWhenTheServerStops) {
  Ended ended;
  TestServer::run(SocketServer::talk(SocketServer::echo, {}, ended.note()),
                  [&ended](TestServer& server) -> Task<void> {
                    auto client = co_await SocketClient::open(server);
                    co_await client.say("open");
                    EXPECT_EQ(co_await client.read_text(), "open");
                    server.server().shutdown(3s);
                    const auto close = co_await client.read();
                    EXPECT_TRUE(close && close->code == opcode::close && close->close_code() == 1001);
                    co_await client.send(close_frame(1001));
                    EXPECT_FALSE(co_await client.read());
                    EXPECT_TRUE(co_await eventually([&] { return ended.ends.size() == 1; }));
                    EXPECT_EQ(ended.ends.at(0).code, close_code::going_away);
                  });
}

TEST(WebSocket, IsCutWithAConversationThatDoesNotEnd) {
  bool cancelled = false;
  const auto stubborn = [&cancelled](WebSocket&) -> Task<void> {
    try {
      co_await async::sleep_for(1h);
    } catch (const boost::system::system_error&) {
      cancelled = true;
      throw;
    }
  };
  TestServer::run(SocketServer::talk(stubborn), [](TestServer& server) -> Task<void> {
    auto client = co_await SocketClient::open(server);
    server.server().shutdown(50ms);
    EXPECT_EQ(co_await client.read_close(), 1001);
  });
  EXPECT_TRUE(cancelled);
}

TEST(WebSocket, PingsTheSilentAndCutsWhoDoesNotAnswer) {
  ServerLimits limits;
  limits.socket_ping_interval = 20ms;
  limits.socket_pong_time = 200ms;
  Ended ended;
  TestServer::run(
      SocketServer::talk(SocketServer::echo, {}, ended.note()),
      [&ended](TestServer& server) -> Task<void> {
        auto alive = co_await SocketClient::open(server);
        auto half_open = co_await SocketClient::open(server);
        for (int i = 0; i < 20; ++i) {
          const auto ping = co_await alive.read();
          EXPECT_TRUE(ping && ping->code == opcode::ping);
          if (!ping) co_return;
          co_await alive.send(frame(opcode::pong, ping->payload));
        }
        EXPECT_EQ(co_await half_open.read_close(), 0) << "cut, without a close frame";
        EXPECT_EQ(ended.ends.size(), 1u);
        EXPECT_EQ(ended.ends.at(0).code, close_code::lost);
        co_await alive.send(close_frame(1000));
        EXPECT_EQ(co_await alive.read_close(), 1000);
      },
      limits);
}

TEST(WebSocket, ClosesWhenAMessageArrivesTooSlowly) {
  ServerLimits limits;
  limits.body_time = 50ms;
  TestServer::run(
      SocketServer::talk(SocketServer::echo),
      [](TestServer& server) -> Task<void> {
        auto client = co_await SocketClient::open(server);
        co_await client.send(frame(opcode::text, "half of it", {.final = false}));
        EXPECT_EQ(co_await client.read_close(), 1008);
      },
      limits);
}

// A producer goes no further than the buffers of a client that does not read, and on when it reads again.
TEST(WebSocket, SlowsItsProducerDown) {
  constexpr std::size_t message_bytes = 10'000;
  constexpr int messages = 2'000;
  int sent = 0;
  const auto produce = [&sent](WebSocket& socket) -> Task<void> {
    for (; sent < messages; ++sent)
      co_await socket.send(
          {SocketMessage::Kind::text, std::to_string(sent) + std::string(message_bytes, ' ')});
  };
  const auto path = "unix:" + ::testing::TempDir() + "hearth_slow_socket_" + std::to_string(::getpid());
  TestServer::run(SocketServer::talk(produce),
                  [&sent](TestServer& server) -> Task<void> {
                    auto client = co_await SocketClient::open(server);
                    int before = -1;
                    for (int i = 0; i < 500 && sent != before; ++i) {
                      before = sent;
                      co_await async::sleep_for(20ms);
                    }
                    EXPECT_EQ(sent, before);
                    EXPECT_LT(sent, messages / 2);
                    for (int i = 0; i < messages; ++i) {
                      const auto text = co_await client.read_text();
                      if (text.size() <= message_bytes) co_return;
                      EXPECT_EQ(std::stoi(text), i);
                    }
                    EXPECT_EQ(co_await client.read_close(), 1000);
                  },
                  {}, 1, {{path, std::nullopt}});
}

TEST(WebSocket, CutsAClientThatTakesNothing) {
  ServerLimits limits;
  limits.write_time = 100ms;
  Ended ended;
  const auto produce = [](WebSocket& socket) -> Task<void> {
    for (;;)
      co_await socket.send({SocketMessage::Kind::binary, std::string(100'000, 'x')});
  };
  TestServer::run(
      SocketServer::talk(produce, {}, ended.note()),
      [&ended](TestServer& server) -> Task<void> {
        auto client = co_await SocketClient::open(server);
        EXPECT_TRUE(co_await eventually([&] { return ended.ends.size() == 1; }));
        EXPECT_EQ(ended.ends.at(0).code, close_code::lost);
      },
      limits);
}

// A client that sends faster than the conversation receives waits in its own buffers; so does one that pings
// and reads no pong.
TEST(WebSocket, ReadsNoFasterThanTheConversation) {
  bool go_on = false;
  const auto patient = [&go_on](WebSocket& socket) -> Task<void> {
    while (!go_on)
      co_await async::sleep_for(5ms);
    co_await SocketServer::echo(socket);
  };
  const auto path = "unix:" + ::testing::TempDir() + "hearth_patient_socket_" + std::to_string(::getpid());
  TestServer::run(SocketServer::talk(patient),
                  [&go_on](TestServer& server) -> Task<void> {
                    auto client = co_await SocketClient::open(server);
                    auto& stream = client.raw().stream();
                    const auto message = frame(opcode::binary, std::string(50'000, 'm'));
                    std::size_t accepted = 0;
                    for (bool full = false; !full && accepted < 1000;) {
                      Stream::Parts parts{boost::asio::buffer(message)};
                      ErrorCode error;
                      full = !stream.try_write(parts, error);
                      if (full && co_await stream.finish_write(parts, 300ms)) break;
                      full = false;
                      ++accepted;
                    }
                    EXPECT_LT(accepted, 1000u);
                    go_on = true;
                    for (std::size_t i = 0; i < accepted; ++i) {
                      const auto got = co_await client.read();
                      EXPECT_TRUE(got && got->payload.size() == 50'000);
                      if (!got) co_return;
                    }
                  },
                  {}, 1, {{path, std::nullopt}});
}

TEST(WebSocket, LosesNothingToAWaitThatWasCancelled) {
  const auto impatient = [](WebSocket& socket) -> Task<void> {
    for (int waited = 0;;) {
      bool in_vain = false;
      try {
        auto message = co_await async::with_deadline(5ms, socket.receive());
        if (!message) co_return;
        co_await socket.send(std::move(*message));
      } catch (const async::DeadlineExceeded&) {
        in_vain = true;
      }
      if (in_vain && ++waited == 3) co_await socket.send({SocketMessage::Kind::text, "waiting"});
    }
  };
  TestServer::run(SocketServer::talk(impatient), [](TestServer& server) -> Task<void> {
    auto client = co_await SocketClient::open(server);
    EXPECT_EQ(co_await client.read_text(), "waiting");
    for (int i = 0; i < 10; ++i) {
      co_await client.say(std::to_string(i));
      EXPECT_EQ(co_await client.read_text(), std::to_string(i));
    }
  });
}

TEST(WebSocket, StopsWorkThatOnlyItsClientWanted) {
  bool stopped = false;
  const auto work = [&stopped](WebSocket& socket) -> Task<void> {
    stopped = !co_await async::run_unless(async::sleep_for(1h), socket.ended());
  };
  TestServer::run(SocketServer::talk(work), [&stopped](TestServer& server) -> Task<void> {
    auto client = co_await SocketClient::open(server);
    client.raw().close();
    EXPECT_TRUE(co_await eventually([&] { return stopped; }));
  });
}

TEST(WebSocket, RefusesToCloseWithACodeThatMustNotBeSent) {
  const auto talk = [](WebSocket& socket) -> Task<void> {
    EXPECT_THROW(co_await socket.close(close_code::lost, ""), std::logic_error);
    co_await SocketServer::echo(socket);
  };
  TestServer::run(SocketServer::talk(talk), [](TestServer& server) -> Task<void> {
    auto client = co_await SocketClient::open(server);
    co_await client.say("still open");
    EXPECT_EQ(co_await client.read_text(), "still open");
  });
}

// Many senders beside a receiver: nothing is mixed up or lost.
TEST(WebSocket, MaySendFromSeveralCoroutines) {
  constexpr int senders = 5;
  constexpr int each = 200;
  const auto talk = [](WebSocket& socket) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    for (int sender = 0; sender < senders; ++sender) {
      scope.spawn("sender", [](WebSocket& out, int number) -> Task<void> {
        for (int i = 0; i < each; ++i) {
          co_await out.send({SocketMessage::Kind::text, std::to_string(number) + ":" + std::to_string(i) +
                                                            ":" + std::string(5'000, 'x')});
        }
      }(socket, sender));
    }
    co_await scope.join();
  };
  TestServer::run(SocketServer::talk(talk), [](TestServer& server) -> Task<void> {
    auto client = co_await SocketClient::open(server);
    std::array<int, senders> next{};
    for (int i = 0; i < senders * each; ++i) {
      const auto text = co_await client.read_text();
      if (text.size() < 5'000) co_return;
      const auto sender = static_cast<std::size_t>(text[0] - '0');
      EXPECT_EQ(std::stoi(text.substr(2)), next.at(sender)++);
    }
    EXPECT_EQ(co_await client.read_close(), 1000);
  });
}

}  // namespace
}  // namespace hearth::net
