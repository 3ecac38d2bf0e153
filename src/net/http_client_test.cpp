#include "net/http_client.hpp"

#include <gtest/gtest.h>

#include "net/test_server.hpp"

namespace hearth::net {
namespace {

using testing::echo;
using testing::ok;
using testing::TestServer;
using namespace std::chrono_literals;

ClientRequest post(std::string target, std::string body) {
  ClientRequest request;
  request.target = std::move(target);
  request.body = std::move(body);
  return request;
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
    EXPECT_EQ(test.server().statistics().accepted, 1u);
  });
}

}  // namespace
}  // namespace hearth::net
