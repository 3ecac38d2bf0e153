#include "api/pipeline.hpp"

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "api/test_server.hpp"
#include "base/api_error.hpp"

namespace hearth::api {
namespace {

using net::testing::TestServer;
using ::testing::AllOf;
using ::testing::EndsWith;
using testing::fixture_api;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing::TestApi;

// A handler of the fixture's create_thing: {"name": "…", "items": […]} is streamed, an event for each item,
// where it has items, and comes back as it is where it has none. An item 0 breaks the stream.
Task<contract::Reply> create_thing(Services&, Call& call) {
  const json::array* items = json::find_array(call.body_object(), "items");
  if (!items) co_return contract::Reply::of(*call.body);
  co_return contract::Reply::stream([items = *items](contract::EventSink& sink) -> Task<void> {
    for (const json::value& item : items) {
      if (item == 0) throw ApiError::unavailable("engine_unavailable", "The engine has failed.");
      co_await sink.send("", {{"type", "text"}, {"text", json::write(item)}});
    }
  });
}

TEST(Pipeline, ServesAnyContract) {
  TestApi api(fixture_api(&create_thing));
  const TestApi::Body body = [&api](TestServer& server) -> Task<void> {
    const auto answer = co_await api.ask(server, "POST /v1/things", R"({"name": "a", "old_hint": "x"})");
    EXPECT_THAT(answer,
                AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("x-hearth-ignored: old_hint\r\n"),
                      HasSubstr("openai-organization: org-"), EndsWith(R"({"name":"a","old_hint":"x"})")));
    const auto wrong = co_await api.ask(server, "POST /v1/things", R"({"name": "far too long"})");
    EXPECT_THAT(wrong, AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr(R"("param":"name")")));
    const auto planned = co_await api.ask(server, "POST /v1/chat/completions", "{}");
    EXPECT_THAT(planned, StartsWith("HTTP/1.1 404 ")) << "it is not of this contract";
  };
  api.run(body);
}

TEST(Pipeline, EndsAStreamWellOrBadly) {
  TestApi api(fixture_api(&create_thing));
  const TestApi::Body body = [&api](TestServer& server) -> Task<void> {
    const auto well = co_await api.ask(server, "POST /v1/things", R"({"name": "a", "items": [1, 2]})");
    EXPECT_THAT(well, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("content-type: text/event-stream"),
                            HasSubstr(R"(data: {"type":"text","text":"1"})"),
                            HasSubstr(R"(data: {"type":"text","text":"2"})"), HasSubstr("data: [DONE]")));
    const auto badly = co_await api.ask(server, "POST /v1/things", R"({"name": "a", "items": [1, 0, 2]})");
    EXPECT_THAT(badly, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr(R"("code":"engine_unavailable")"),
                             Not(HasSubstr("[DONE]")), Not(HasSubstr(R"("text":"2")"))));
  };
  api.run(body);
}

}  // namespace
}  // namespace hearth::api
