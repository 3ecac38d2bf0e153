// From a request to a WebSocket: what is taken, what is refused, and what becomes of the connection.
#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "net/test_socket.hpp"

namespace hearth::net {
namespace {

using testing::frame;
using testing::handshake;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::SocketClient;
using testing::SocketServer;
using ::testing::StartsWith;
using testing::TestServer;

std::string request(std::string_view first_line, std::string_view headers) {
  return std::string(first_line) + "\r\nHost: t\r\n" + std::string(headers) + "\r\n";
}

constexpr std::string_view key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

TEST(WebSocketHandshake, RefusesWhatIsNotOne) {
  const std::string good = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
  const std::string version = "Sec-WebSocket-Version: 13\r\n";
  const std::string whole = good + version + std::string(key);
  struct Case {
    std::string request;
    int status;
    std::string message;
  };
  const std::vector<Case> cases = {
      {request("GET / HTTP/1.1", ""), 426, "speaks WebSocket"},
      {request("GET / HTTP/1.1", "Upgrade: h2c\r\nConnection: Upgrade\r\n"), 426, "speaks WebSocket"},
      {request("GET / HTTP/1.0", whole), 426, "speaks WebSocket"},
      {request("GET / HTTP/1.1", good + std::string(key)), 426, "version of WebSocket"},
      {request("GET / HTTP/1.1", good + std::string(key) + "Sec-WebSocket-Version: 8\r\n"), 426, "version"},
      {request("GET / HTTP/1.1", whole + version), 426, "version"},
      {request("POST / HTTP/1.1", whole), 400, "GET request"},
      {request("GET / HTTP/1.1",
               "Upgrade: websocket\r\nConnection: keep-alive\r\n" + version + std::string(key)),
       400, "Connection"},
      {request("GET / HTTP/1.1", whole + "Content-Length: 5\r\n") + "hello", 400, "no body"},
      {request("GET / HTTP/1.1", whole + "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400, "no body"},
      {request("GET / HTTP/1.1", good + version), 400, "Sec-WebSocket-Key"},
      {request("GET / HTTP/1.1", whole + std::string(key)), 400, "Sec-WebSocket-Key"},
      {request("GET / HTTP/1.1", good + version + "Sec-WebSocket-Key: c2hvcnQ=\r\n"), 400,
       "Sec-WebSocket-Key"},
      {request("GET / HTTP/1.1", good + version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ?==\r\n"), 400,
       "Sec-WebSocket-Key"},
      {request("GET / HTTP/1.1", whole + "Sec-WebSocket-Protocol: a, a\r\n"), 400, "Sec-WebSocket-Protocol"},
      {request("GET / HTTP/1.1", whole + "Sec-WebSocket-Protocol: a b\r\n"), 400, "Sec-WebSocket-Protocol"},
  };
  TestServer::run(SocketServer::talk(SocketServer::echo), [&cases](TestServer& server) -> Task<void> {
    for (const auto& one : cases) {
      auto client = co_await server.connect();
      co_await client->send(one.request);
      const auto reply = co_await client->read_reply();
      EXPECT_THAT(reply, StartsWith("HTTP/1.1 " + std::to_string(one.status))) << one.request;
      EXPECT_THAT(reply, HasSubstr(one.message)) << one.request;
      EXPECT_THAT(reply, Not(HasSubstr("sec-websocket-accept"))) << one.request;
      if (one.status == 426) {
        EXPECT_THAT(reply, HasSubstr("upgrade: websocket\r\n"));
        EXPECT_THAT(reply, HasSubstr("sec-websocket-version: 13\r\n"));
      }
    }
  });
}

TEST(WebSocketHandshake, ReadsNoRequestBehindOneThatIsRefused) {
  TestServer::run(SocketServer::talk(SocketServer::echo), [](TestServer& server) -> Task<void> {
    const auto smuggled =
        request("GET / HTTP/1.1", "Upgrade: websocket\r\n") + request("GET /second HTTP/1.1", "");
    const auto all = co_await server.exchange(smuggled);
    EXPECT_THAT(all, HasSubstr("connection: close\r\n"));
    EXPECT_EQ(all.find("HTTP/1.1"), all.rfind("HTTP/1.1")) << all;
  });
}

TEST(WebSocketHandshake, AcceptsTheKeyAndChoosesASubprotocol) {
  TestServer::run(SocketServer::talk(SocketServer::echo), [](TestServer& server) -> Task<void> {
    const auto plain = co_await SocketClient::open(server);
    EXPECT_THAT(plain.reply(), HasSubstr("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    EXPECT_THAT(plain.reply(), HasSubstr("upgrade: websocket\r\nconnection: Upgrade\r\n"));
    EXPECT_THAT(plain.reply(), Not(HasSubstr("sec-websocket-protocol")));
    EXPECT_THAT(plain.reply(), Not(HasSubstr("content-length")));
    EXPECT_THAT(plain.reply(), Not(HasSubstr("sec-websocket-extensions")));
    const auto several = co_await SocketClient::open(
        server,
        "Sec-WebSocket-Protocol: key.SECRET, chat\r\nsec-websocket-protocol: realtime\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    EXPECT_THAT(several.reply(), HasSubstr("sec-websocket-protocol: realtime\r\n"));
    EXPECT_THAT(several.reply(), Not(HasSubstr("SECRET")));
    EXPECT_THAT(several.reply(), Not(HasSubstr("extensions")));
    const auto unknown = co_await SocketClient::open(server, "Sec-WebSocket-Protocol: other\r\n");
    EXPECT_THAT(unknown.reply(), Not(HasSubstr("sec-websocket-protocol")));
  });
}

TEST(WebSocketHandshake, ComparesTokensWithoutCase) {
  TestServer::run(SocketServer::talk(SocketServer::echo), [](TestServer& server) -> Task<void> {
    auto client = co_await server.connect();
    co_await client->send(request("GET / HTTP/1.1",
                                  "UPGRADE: h2c, WebSocket\r\nConnection: keep-alive, UPGRADE\r\n"
                                  "Sec-WebSocket-Version: 13\r\n" +
                                      std::string(key)));
    EXPECT_THAT(co_await client->read_until("\r\n\r\n"), StartsWith("HTTP/1.1 101 Switching Protocols\r\n"));
  });
}

TEST(WebSocketHandshake, TakesFramesThatCameWithIt) {
  TestServer::run(SocketServer::talk(SocketServer::echo), [](TestServer& server) -> Task<void> {
    auto raw = co_await server.connect();
    co_await raw->send(handshake() + frame(testing::opcode::text, "early") + testing::close_frame(1000));
    co_await raw->read_until("\r\n\r\n");
    auto rest = co_await raw->read_to_end();
    const auto echoed = testing::take_frame(rest);
    const auto closed = testing::take_frame(rest);
    EXPECT_TRUE(echoed && echoed->payload == "early");
    EXPECT_TRUE(closed && closed->close_code() == 1000);
    EXPECT_TRUE(rest.empty());
  });
}

}  // namespace
}  // namespace hearth::net
