// The fixture contract's socket over real connections: from the request to the last event.
#include "api/socket_session.hpp"

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "api/test_server.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"
#include "net/test_socket.hpp"

namespace hearth::api {
namespace {

using net::testing::close_frame;
using net::testing::frame;
using net::testing::SocketClient;
using net::testing::TestServer;
using ::testing::AllOf;
using testing::fixture_api;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing::TestApi;
using namespace std::chrono_literals;
namespace opcode = net::testing::opcode;

constexpr std::string_view target = "/v1/things/7/talk";

// What became of the conversation that a test watches.
struct Watched {
  int ended = 0;
  bool cancelled = false;
};

Task<void> talk(contract::Socket& socket, Watched& watched) {
  while (auto event = co_await socket.receive()) {
    const auto* name = json::find(event->object(), "name");
    if (event->type == "thing.rename") {
      co_await socket.send({{"type", "thing.renamed"},
                            {"event_id", event->id()},
                            {"name", *name},
                            {"ignored", event->ignored.size()}});
    } else if (name) {
      const auto& how = name->get_string();
      if (how == "unavailable") throw ApiError::unavailable("engine_unavailable", "The engine has failed.");
      if (how == "refused") throw ApiError::invalid_request("invalid_value", "No such thing.", "name");
      if (how == "broken") throw std::runtime_error("internal cause");
      if (how == "wrong") co_await socket.send({{"type", "thing.renamed"}});
      if (how == "undeclared") co_await socket.send({{"type", "thing.other"}});
      if (how == "done") co_return;
    } else {
      try {
        co_await async::sleep_for(1h);
      } catch (const boost::system::system_error&) {
        watched.cancelled = true;
        throw;
      }
    }
  }
}

ServedApi talking(Watched& watched) {
  return fixture_api([&watched](Services&, Call& call) -> Task<contract::Reply> {
    if (call.path_string("thing_id") == "missing") throw ApiError::model_not_found("missing");
    if (call.path_string("thing_id") == "mute") co_return contract::Reply::of(json::object());
    co_return contract::Reply::talk([&watched](contract::Socket& socket) -> Task<void> {
      co_await talk(socket, watched);
      ++watched.ended;
    });
  });
}

std::string bearer(TestApi& api) {
  return "Authorization: Bearer " + api.services().tenant.project_key + "\r\n";
}

Task<json::value> read_event(SocketClient& client) {
  co_return json::parse(co_await client.read_text()).value_or(nullptr);
}

// "code param event_id" of an error event.
Task<std::string> read_error(SocketClient& client) {
  const auto event = co_await read_event(client);
  const auto* object = event.if_object();
  const auto* error = object ? json::find_object(*object, "error") : nullptr;
  EXPECT_TRUE(error) << json::write(event);
  if (!error) co_return "";
  EXPECT_EQ(json::find_string(*object, "type"), "error");
  EXPECT_THAT(std::string(json::find_string(*object, "event_id").value_or("")), StartsWith("event_"));
  const auto text = [&](std::string_view name) {
    return std::string(json::find_string(*error, name).value_or("null"));
  };
  co_return text("code") + " " + text("param") + " " + text("event_id");
}

Task<SocketClient> open(TestServer& server, std::string_view headers, std::string_view where = target) {
  co_return co_await SocketClient::open(co_await server.connect(), headers, where);
}

TEST(SocketSession, CarriesEventsAndNamesWhatIsWrong) {
  Watched watched;
  TestApi api(talking(watched));
  const TestApi::Body body = [&](TestServer& server) -> Task<void> {
    auto client = co_await open(server, bearer(api));
    EXPECT_THAT(client.reply(), AllOf(HasSubstr("x-request-id: req_"), HasSubstr("openai-organization: org-"),
                                      Not(HasSubstr("content-type"))));
    co_await client.say(R"({"type": "thing.rename", "event_id": "e1", "name": "lamp", "old_hint": "x"})");
    const auto renamed = co_await read_event(client);
    EXPECT_EQ(renamed,
              (json::value{{"type", "thing.renamed"}, {"event_id", "e1"}, {"name", "lamp"}, {"ignored", 1}}));

    const std::pair<std::string_view, std::string_view> wrong[] = {
        {"{", "invalid_json null null"},
        {"[]", "invalid_type null null"},
        {R"({"event_id": "e2"})", "missing_required_parameter type e2"},
        {R"({"type": 3, "event_id": "e3"})", "invalid_type type e3"},
        {R"({"type": "thing.destroy", "event_id": "e4"})", "invalid_value type e4"},
        {R"({"type": "thing.renamed", "event_id": "e5"})", "invalid_value type e5"},
        {R"({"type": "thing.rename", "event_id": "e6"})", "missing_required_parameter name e6"},
        {R"({"type": "thing.rename", "event_id": "e7", "name": "far too long"})",
         "string_above_max_length name e7"},
        {R"({"type": "thing.rename", "event_id": "e8", "name": "a", "part": {"type": "text"}})",
         "missing_required_parameter part.text e8"},
        {R"({"type": "thing.rename", "event_id": 9, "name": "a"})", "invalid_type event_id null"},
        {R"({"type": "thing.rename", "event_id": "e10", "name": "a", "more": 1})",
         "unknown_parameter more e10"},
    };
    for (const auto& [event, error] : wrong) {
      co_await client.say(event);
      EXPECT_EQ(co_await read_error(client), error) << event;
    }
    co_await client.say(R"({"type": "thing.rename", "name": "same"})");
    EXPECT_EQ((co_await read_event(client)).at("name"), "same") << "the socket is still open";
    co_await client.send(close_frame(1000));
    EXPECT_EQ(co_await client.read_close(), 1000);
  };
  api.run(body);
  EXPECT_EQ(watched.ended, 1);
}

TEST(SocketSession, TakesABrowsersCredentialsAndNeverRepeatsThem) {
  Watched watched;
  TestApi api(talking(watched));
  const auto& tenant = api.services().tenant;
  const auto offer = [](std::string_view key, std::string_view more = "") {
    return fmt::format(
        "Origin: https://example.com\r\nSec-WebSocket-Protocol: realtime, openai-insecure-api-key.{}, "
        "openai-beta.realtime-v1{}\r\n",
        key, more);
  };
  const auto named = fmt::format(", openai-organization.{}, openai-project.{}", tenant.organization.str(),
                                 tenant.project.str());
  ::testing::internal::CaptureStderr();
  const TestApi::Body body = [&](TestServer& server) -> Task<void> {
    for (const auto& headers : {offer(tenant.project_key), offer(tenant.project_key, named)}) {
      auto client = co_await open(server, headers);
      EXPECT_THAT(client.reply(), HasSubstr("sec-websocket-protocol: realtime\r\n"));
      EXPECT_THAT(client.reply(), Not(HasSubstr(tenant.project_key)));
      co_await client.say(R"({"type": "thing.rename", "name": "lamp"})");
      EXPECT_EQ((co_await read_event(client)).at("name"), "lamp");
    }
    const std::pair<std::string, std::string_view> refused[] = {
        {offer("sk-proj-unknownunknownunknown"), "invalid_api_key"},
        {offer(tenant.project_key, ", openai-organization.org-other"), "mismatched_organization"},
        {offer(tenant.project_key, ", openai-project.proj_other"), "mismatched_project"},
        {"Sec-WebSocket-Protocol: realtime\r\n", "didn't provide an API key"},
    };
    for (const auto& [headers, error] : refused) {
      const auto reply = co_await server.exchange(net::testing::handshake(headers, target));
      EXPECT_THAT(reply,
                  AllOf(StartsWith("HTTP/1.1 401 "), HasSubstr(error), HasSubstr("connection: close")));
      EXPECT_THAT(reply, Not(HasSubstr("unknownunknown")));
    }
    // A header of its own comes before what is offered.
    auto both = co_await open(server, bearer(api) + offer("sk-proj-unknownunknownunknown"));
    EXPECT_THAT(both.reply(), HasSubstr("sec-websocket-protocol: realtime\r\n"));
  };
  api.run(body);
  log::warn("end of the test");  // a warning is written at once, with all that was logged before
  const auto logged = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(logged, AllOf(HasSubstr("talk_to_thing"), Not(HasSubstr(tenant.project_key)),
                            Not(HasSubstr("unknownunknown"))));
}

TEST(SocketSession, RefusesInHttpBeforeTheUpgrade) {
  Watched watched;
  TestApi api(talking(watched));
  const TestApi::Body body = [&](TestServer& server) -> Task<void> {
    const auto plain = co_await server.exchange(api.head("GET /v1/things/7/talk") + "\r\n");
    EXPECT_THAT(plain, AllOf(StartsWith("HTTP/1.1 426 "), HasSubstr("upgrade: websocket\r\n"),
                             HasSubstr(R"("code":"upgrade_required")")));
    const auto missing =
        co_await server.exchange(net::testing::handshake(bearer(api), "/v1/things/missing/talk"));
    EXPECT_THAT(missing, AllOf(StartsWith("HTTP/1.1 404 "), HasSubstr(R"("code":"model_not_found")"),
                               HasSubstr("connection: close")));
    const auto mute = co_await server.exchange(net::testing::handshake(bearer(api), "/v1/things/mute/talk"));
    EXPECT_THAT(mute, StartsWith("HTTP/1.1 500 "));
    const auto no_socket = co_await server.exchange(net::testing::handshake(bearer(api), "/v1/things/7"));
    EXPECT_THAT(no_socket, StartsWith("HTTP/1.1 500 ")) << "a conversation where the contract has no socket";
  };
  api.run(body);
}

TEST(SocketSession, TellsWhatItFailsByAndCloses) {
  Watched watched;
  TestApi api(talking(watched));
  const TestApi::Body body = [&](TestServer& server) -> Task<void> {
    struct Case {
      std::string_view how;
      std::string_view error;
      int code;
    };
    std::vector<Case> cases = {{"unavailable", "engine_unavailable null null", 1011},
                               {"refused", "invalid_value name null", 1008},
                               {"broken", "internal_error null null", 1011},
                               {"done", "", 1000}};
#ifdef HEARTH_GATE
    cases.push_back({"wrong", "contract_violation null null", 1011});
    cases.push_back({"undeclared", "contract_violation null null", 1011});
#endif
    for (const auto& one : cases) {
      auto client = co_await open(server, bearer(api));
      co_await client.say(fmt::format(R"({{"type": "thing.do", "name": "{}"}})", one.how));
      if (!one.error.empty()) EXPECT_EQ(co_await read_error(client), one.error);
      EXPECT_EQ(co_await client.read_close(), one.code) << one.how;
    }
    auto bytes = co_await open(server, bearer(api));
    co_await bytes.send(frame(opcode::binary, "{}"));
    EXPECT_EQ(co_await bytes.read_close(), 1003);
    auto large = co_await open(server, bearer(api));
    co_await large.say(std::string(5'000, ' '));
    EXPECT_EQ(co_await large.read_close(), 1009);
  };
  api.run(body);
}

TEST(SocketSession, StopsAConversationThatItsClientHasLeft) {
  Watched watched;
  TestApi api(talking(watched));
  const TestApi::Body body = [&](TestServer& server) -> Task<void> {
    auto client = co_await open(server, bearer(api));
    co_await client.say(R"({"type": "thing.do"})");
    co_await client.send(close_frame(1000));
    EXPECT_EQ(co_await client.read_close(), 1000);
    for (int i = 0; i < 1000 && !watched.cancelled; ++i)
      co_await async::sleep_for(5ms);
    EXPECT_TRUE(watched.cancelled);
  };
  api.run(body);
}

TEST(SocketSession, EndsAfterItsLongestDuration) {
  Watched watched;
  TestApi api(talking(watched), {.socket_time = 50ms});
  const TestApi::Body body = [&](TestServer& server) -> Task<void> {
    auto client = co_await open(server, bearer(api));
    EXPECT_EQ(co_await read_error(client), "session_expired null null");
    EXPECT_EQ(co_await client.read_close(), 1000);
  };
  api.run(body);
}

}  // namespace
}  // namespace hearth::api
