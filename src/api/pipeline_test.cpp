#include "api/pipeline.hpp"

#include <atomic>
#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "api/test_server.hpp"
#include "base/api_error.hpp"
#include "engine/engine_kinds.hpp"

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

// A handler of the fixture's run_thing and get_thing: streams what the id says, letter by letter; '!' breaks
// it.
Task<contract::Reply> run_thing(Services&, Call& call) {
  co_return contract::Reply::stream(
      [letters = std::string(call.path_string("thing_id"))](contract::EventSink& sink) -> Task<void> {
        for (char letter : letters) {
          if (letter == '!') throw ApiError::unavailable("engine_unavailable", "The engine has failed.");
          co_await sink.send("part", {{"type", "text"}, {"text", std::string(1, letter)}});
        }
      });
}

TEST(Pipeline, EndsAStreamAsItsOperationSays) {
  TestApi api(fixture_api(&run_thing));
  const TestApi::Body body = [&api](TestServer& server) -> Task<void> {
    const auto well = co_await api.ask(server, "POST /v1/things/ab/runs", "");
    EXPECT_THAT(well, AllOf(HasSubstr("event: part\ndata: {\"type\":\"text\",\"text\":\"b\"}\n\n"),
                            HasSubstr("event: done\ndata: [DONE]\n\n")));
    const auto badly = co_await api.ask(server, "POST /v1/things/ab!/runs", "");
    EXPECT_THAT(
        badly,
        AllOf(HasSubstr("event: failed\ndata: {\"type\":\"error\",\"message\":\"The engine has failed.\","
                        "\"code\":\"engine_unavailable\",\"sequence_number\":2}\n\n"),
              Not(HasSubstr("[DONE]"))));
  };
  api.run(body);
}

// How work ended whose client may leave.
struct Work {
  bool begun = false;
  bool whole = false;
  bool stopped = false;

  bool ended() const { return whole || stopped; }
  Task<void> run(std::chrono::milliseconds time) {
    begun = true;
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
    try {
      co_await timer.async_wait(boost::asio::use_awaitable);
      whole = true;
    } catch (const boost::system::system_error&) {
      stopped = true;
      throw;
    }
  }
};

enum class Where { in_the_handler, in_the_stream };

// What becomes of `work` when the client of the request leaves while it is under way.
void leave(std::string_view start, Where where, std::chrono::milliseconds time, Work& work) {
  TestApi api(fixture_api([&work, where, time](Services&, Call&) -> Task<contract::Reply> {
    if (where == Where::in_the_stream) {
      co_return contract::Reply::stream([&work, time](contract::EventSink& sink) -> Task<void> {
        co_await work.run(time);
        for (int i = 0; i < 100; ++i)  // more than a sink holds for a client that is there
          co_await sink.send("part", {{"type", "text"}, {"text", std::string(1000, 'x')}});
      });
    }
    co_await work.run(time);
    co_return contract::Reply::of({{"name", "a"}});
  }));
  const TestApi::Body body = [&](TestServer& server) -> Task<void> {
    boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor);
    const auto wait_for = [&pause](std::function<bool()> condition) -> Task<void> {
      for (int i = 0; i < 1000 && !condition(); ++i) {
        pause.expires_after(std::chrono::milliseconds(5));
        co_await pause.async_wait(boost::asio::use_awaitable);
      }
    };
    const auto client = co_await net::testing::RawClient::connect(server.address());
    const std::string_view thing = R"({"name": "a"})";
    co_await client->send(fmt::format("{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                                      api.head(start), thing.size(), thing));
    co_await wait_for([&work] { return work.begun; });
    client->close();
    co_await wait_for([&work] { return work.ended(); });
  };
  api.run(body);
}

TEST(Pipeline, WhatChangesStateIsNotCutWhenTheClientLeaves) {
  for (Where where : {Where::in_the_handler, Where::in_the_stream}) {
    Work work;
    leave("POST /v1/things/a/runs", where, std::chrono::milliseconds(400), work);
    EXPECT_TRUE(work.whole);
    EXPECT_FALSE(work.stopped);
  }
}

TEST(Pipeline, WorkThatOnlyTheClientWantedStopsWhenItLeaves) {
  for (std::string_view start : {"POST /v1/things", "GET /v1/things/a"}) {
    Work work;
    leave(start, Where::in_the_handler, std::chrono::seconds(30), work);
    EXPECT_TRUE(work.stopped) << start;
  }
  Work work;
  leave("POST /v1/things", Where::in_the_stream, std::chrono::seconds(30), work);
  EXPECT_TRUE(work.stopped);
}

// Counts how often somebody asks whether anything has changed.
class CountingDriver final : public db::Driver {
 public:
  CountingDriver(std::unique_ptr<db::Driver> driver, std::atomic<int>& looks)
      : driver_(std::move(driver)), looks_(looks) {}

  std::unique_ptr<db::Session> connect(db::Access access) override { return driver_->connect(access); }
  std::uint64_t change_token() override {
    ++looks_;
    return driver_->change_token();
  }
  bool is_one_commit(std::uint64_t before, std::uint64_t after) const override {
    return driver_->is_one_commit(before, after);
  }

 private:
  std::unique_ptr<db::Driver> driver_;
  std::atomic<int>& looks_;
};

// A second goes by with every look: whoever asks for the catalogue finds that it is time to look anew.
class HastyClock final : public Clock {
 public:
  SteadyTime steady_now() const override { return Clock::steady_now() + std::chrono::seconds(++looks_); }

 private:
  mutable std::atomic<int> looks_{0};
};

TEST(Pipeline, ARequestAsksOnceForTheAccessEpochAndTheCatalogue) {
  std::atomic<int> looks{0};
  const HastyClock clock;
  engine::Model model{.id = "away", .capabilities = {engine::Capability::chat}};
  model.engine = engine::parse_engine_spec({{"base_urls", json::array{"http://127.0.0.1:1/v1"}}});
  TestApi api(own_api(), {},
              {.clock = &clock,
               .models = {.models = {std::move(model)}, .aliases = {}},
               .wrap_driver = [&looks](std::unique_ptr<db::Driver> driver) {
                 return std::make_unique<CountingDriver>(std::move(driver), looks);
               }});
  const TestApi::Body body = [&api, &looks](TestServer& server) -> Task<void> {
    co_await api.services().models.reload();
    const auto ask = [&api, &server] {
      return api.ask(server, "POST /v1/chat/completions",
                     R"({"model": "away", "messages": [{"role": "user", "content": "Hi"}]})");
    };
    co_await ask();
    looks = 0;
    // It goes all the way: nobody is at the model's address.
    EXPECT_THAT(co_await ask(), StartsWith("HTTP/1.1 503 "));
    EXPECT_EQ(looks, 2) << "one for the epoch, one for the catalogue";
    looks = 0;
    EXPECT_THAT(co_await api.ask(server, "GET /v1/chat/completions", ""), StartsWith("HTTP/1.1 200 "));
    EXPECT_EQ(looks, 1) << "no model is asked for";
  };
  api.run(body);
}

}  // namespace
}  // namespace hearth::api
