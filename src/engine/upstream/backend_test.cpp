#include "engine/upstream/backend.hpp"

#include <deque>
#include <gmock/gmock.h>

#include "base/api_error.hpp"
#include "engine/scripted_server.hpp"
#include "engine/task/describe.hpp"
#include "json/json.hpp"

namespace hearth::engine {
namespace {

using namespace std::chrono_literals;
using testing::chunk;
using testing::event;
using ::testing::HasSubstr;
using testing::last_chunk;
using testing::on_runtime;
using testing::plain_reply;
using testing::ScriptedRequest;
using testing::ScriptedServer;
using testing::stream_head;
using Send = ScriptedServer::Send;
using Then = ScriptedServer::Then;

constexpr std::string_view good_answer =
    R"({"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}})";
constexpr std::string_view piece = R"({"choices":[{"index":0,"delta":{"content":"Hi"}}]})";
constexpr std::string_view end_piece = R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})";

Task<Then> good(const ScriptedRequest&, const Send& send) {
  co_await send(plain_reply(200, good_answer));
  co_return Then::keep;
}
// Replies with `bytes`, then does `then`.
ScriptedServer::Script reply(std::string bytes, Then then = Then::keep) {
  return [bytes, then](const ScriptedRequest&, const Send& send) -> Task<Then> {
    co_await send(bytes);
    co_return then;
  };
}

std::unique_ptr<Backend> backend(std::vector<std::string> urls, CircuitPolicy policy = {},
                                 std::chrono::milliseconds timeout = 10s) {
  Model model;
  model.id = "here";
  const UpstreamSpec spec{
      .base_urls = std::move(urls), .api_key = "sk-there", .model = "there", .timeout = timeout};
  return make_upstream_backend(model, spec, policy);
}
// One for each call; it lives as long as the thread.
CallContext& call(std::chrono::milliseconds patience = 10s) {
  thread_local std::deque<CallContext> calls;
  return calls.emplace_back("req_1", std::chrono::steady_clock::now() + patience);
}
const json::object question =
    json::parse(R"({"model":"here","messages":[{"role":"user","content":"Hello"}]})").value().as_object();

// The status of the error that it ends with; 0 without one.
template <class T>
Task<int> status_of(Task<T> task) {
  try {
    co_await std::move(task);
  } catch (const ApiError& error) {
    co_return error.status();
  }
  co_return 0;
}
// All deltas; then "usage <prompt> <completion>" and "end" when it ends well, "error <status>" when it fails.
Task<std::vector<std::string>> read_all(std::unique_ptr<DeltaStream> stream) {
  std::vector<std::string> seen;
  try {
    while (const Delta* each = co_await stream->next())
      seen.push_back(json::write(testing::describe(*each)));
    seen.push_back(fmt::format("usage {} {}", stream->usage().prompt, stream->usage().completion));
    seen.push_back("end");
  } catch (const ApiError& error) {
    seen.push_back("error " + std::to_string(error.status()));
  }
  co_return seen;
}

TEST(UpstreamBackend, SendsTheRequestAndKeepsTheConnection) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, good);
    const auto upstream = backend({server.url("/v1/")});
    for (int i = 0; i < 3; ++i) {
      const auto answer = co_await upstream->chat()->chat(question, Delivery::whole, call());
      EXPECT_EQ((co_await answer->next())->text, "Hi");
      EXPECT_EQ(co_await answer->next(), nullptr);
    }
    EXPECT_EQ(server.connections, 1u);
    const auto& sent = server.requests.at(0);
    EXPECT_EQ(sent.target(), "/v1/chat/completions");
    EXPECT_EQ(sent.header("authorization"), "Bearer sk-there");
    EXPECT_EQ(sent.header("x-request-id"), "req_1");
    EXPECT_THAT(sent.body, HasSubstr(R"("model":"there")"));
    co_await upstream->probe(call());
    EXPECT_THAT(server.requests.back().body, HasSubstr(R"("max_tokens":1)"));
  });
}

TEST(UpstreamBackend, StreamsAndKeepsTheConnection) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope,
                          reply(stream_head() + chunk(": ping\n\n") + event(piece) + event(end_piece) +
                                event(R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1}})") +
                                event("[DONE]") + last_chunk()));
    const auto upstream = backend({server.url("/v1")});
    for (int i = 0; i < 2; ++i) {
      const auto seen =
          co_await read_all(co_await upstream->chat()->chat(question, Delivery::streamed, call()));
      EXPECT_EQ(seen.size(), 4u);
      EXPECT_EQ(seen.at(2), "usage 5 1");
      EXPECT_EQ(seen.back(), "end");
    }
    EXPECT_EQ(server.connections, 1u);
    EXPECT_THAT(server.requests.at(0).body, HasSubstr(R"("include_usage":true)"));
  });
}

TEST(UpstreamBackend, ATruncatedStreamNeverEndsWell) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, good);
    const auto upstream = backend({server.url("/v1")}, {.failures_to_open = 100});
    // Dies in the middle; ends without [DONE] and finish; says [DONE] without finish; speaks of an error.
    for (const std::string& bytes :
         {event(piece), event(piece) + last_chunk(), event(piece) + event("[DONE]") + last_chunk(),
          event(piece) + event(R"({"error":{"message":"boom"}})") + last_chunk(),
          event(piece) + event("{broken") + last_chunk()}) {
      server.set_script(reply(stream_head() + bytes, Then::close));
      const auto seen =
          co_await read_all(co_await upstream->chat()->chat(question, Delivery::streamed, call()));
      EXPECT_EQ(seen.size(), 2u);
      EXPECT_EQ(seen.back(), "error 503") << bytes;
    }
    // All has come, only the usual last words are missing.
    server.set_script(reply(stream_head() + event(piece) + event(end_piece) + last_chunk(), Then::close));
    EXPECT_EQ(
        (co_await read_all(co_await upstream->chat()->chat(question, Delivery::streamed, call()))).back(),
        "end");
  });
}

TEST(UpstreamBackend, AnotherReplicaTakesOver) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer fine(scope, good);
    ScriptedServer faulty(scope, good);
    const auto upstream = backend({faulty.url("/v1"), fine.url("/v1")}, {.failures_to_open = 1000});
    for (const std::string& fault :
         {plain_reply(500, "oops"), plain_reply(503, "busy"), plain_reply(429, "later"), std::string(),
          std::string("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"choi")}) {
      faulty.set_script(reply(fault, Then::close));
      for (int i = 0; i < 4; ++i)
        EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 0) << fault;
    }
    EXPECT_GT(faulty.requests.size(), 5u);
    EXPECT_EQ(fine.requests.size(), 20u);
    // Also a stream, as long as nothing of it was used.
    faulty.set_script(reply(stream_head(), Then::close));
    fine.set_script(reply(stream_head() + event(piece) + event(end_piece) + event("[DONE]") + last_chunk()));
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(
          (co_await read_all(co_await upstream->chat()->chat(question, Delivery::streamed, call()))).back(),
          "end");
    faulty.stop_listening();
  });
}

TEST(UpstreamBackend, RubbishIsAFailure) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer fine(scope, good);
    ScriptedServer faulty(scope, good);
    for (const std::string_view rubbish : {"<html>", "{}", R"({"choices":[{"message":7}]})"}) {
      const auto upstream = backend({faulty.url("/v1"), fine.url("/v1")}, {.failures_to_open = 2});
      const auto before = faulty.requests.size();
      faulty.set_script(reply(plain_reply(200, rubbish)));
      for (int i = 0; i < 8; ++i)
        EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 0)
            << rubbish;
      EXPECT_EQ(faulty.requests.size() - before, 2u) << rubbish;  // then it counted as down
    }
    fine.set_script(reply(stream_head() + event(piece) + event(end_piece) + event("[DONE]") + last_chunk()));
    for (const std::string& rubbish :
         {event(R"({"error":{"message":"boom"}})"), event("{broken"), event("7")}) {
      const auto upstream = backend({faulty.url("/v1"), fine.url("/v1")}, {.failures_to_open = 2});
      const auto before = faulty.requests.size();
      faulty.set_script(reply(stream_head() + rubbish + last_chunk()));
      for (int i = 0; i < 8; ++i)
        EXPECT_EQ(
            (co_await read_all(co_await upstream->chat()->chat(question, Delivery::streamed, call()))).back(),
            "end");
      EXPECT_EQ(faulty.requests.size() - before, 2u) << rubbish;
    }
    // After the first chunk it cannot be replaced, but it counts.
    faulty.set_script(reply(stream_head() + event(piece) + event("{broken") + last_chunk()));
    const auto alone = backend({faulty.url("/v1")}, {.failures_to_open = 1});
    EXPECT_EQ((co_await read_all(co_await alone->chat()->chat(question, Delivery::streamed, call()))).back(),
              "error 503");
    const auto before = faulty.requests.size();
    EXPECT_EQ(co_await status_of(alone->chat()->chat(question, Delivery::whole, call())), 503);
    EXPECT_EQ(faulty.requests.size(), before);
  });
}

TEST(UpstreamBackend, AReplicaThatHangsIsReplaced) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer hanging(scope, [](const ScriptedRequest&, const Send&) -> Task<Then> {
      co_await async::sleep_for(20s);
      co_return Then::close;
    });
    ScriptedServer fine(scope, good);
    const CircuitPolicy policy{.failures_to_open = 1, .probe_time = 50ms, .patience = 100ms};
    const auto upstream = backend({hanging.url("/v1"), fine.url("/v1")}, policy);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 0);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
    EXPECT_EQ(hanging.requests.size(), 3u);
    EXPECT_EQ(hanging.requests.back().target(), "/v1/models");
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 0);
    EXPECT_EQ(hanging.requests.size(), 3u);  // it is down
    // Also a stream that stops before its first chunk.
    fine.set_script(reply(stream_head() + event(piece) + event(end_piece) + event("[DONE]") + last_chunk()));
    hanging.set_script([](const ScriptedRequest& request, const Send& send) -> Task<Then> {
      if (request.target() != "/v1/models") co_await send(stream_head());
      co_await async::sleep_for(20s);
      co_return Then::close;
    });
    const auto again = backend({hanging.url("/v1"), fine.url("/v1")}, policy);
    EXPECT_EQ((co_await read_all(co_await again->chat()->chat(question, Delivery::streamed, call()))).back(),
              "end");
  });
}

TEST(UpstreamBackend, ASlowReplicaThatLivesIsWaitedFor) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer slow(scope, [](const ScriptedRequest& request, const Send& send) -> Task<Then> {
      if (request.target() == "/v1/models") {
        co_await send(plain_reply(404, ""));
        co_return Then::keep;
      }
      co_await async::sleep_for(400ms);
      co_return co_await good(request, send);
    });
    ScriptedServer fine(scope, good);
    const auto upstream = backend({slow.url("/v1"), fine.url("/v1")}, {.patience = 50ms});
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 0);
    EXPECT_EQ(fine.requests.size(), 0u);
    EXPECT_GE(slow.requests.size(), 3u);  // asked whether it lives, again and again
  });
}

TEST(UpstreamBackend, SaysWhatIsIgnored) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, good);
    const auto upstream = backend({server.url()});
    const auto ignored_for = [&](std::string_view members) -> Task<std::vector<std::string>> {
      json::object asked = question;
      const json::value more = json::parse(members).value();
      for (const auto& member : more.as_object())
        asked.insert_or_assign(member.key(), member.value());
      CallContext& context = call();
      if (asked.contains("stream")) {
        EXPECT_EQ(
            (co_await read_all(co_await upstream->chat()->chat(asked, Delivery::streamed, context))).back(),
            "end");
      } else {
        co_await upstream->chat()->chat(asked, Delivery::whole, context);
      }
      co_return context.ignored();
    };
    using Names = std::vector<std::string>;
    EXPECT_EQ(co_await ignored_for(R"({"logprobs":true})"), Names{"logprobs"});
    EXPECT_EQ(co_await ignored_for(R"({"logprobs":false,"service_tier":"auto"})"), Names{});
    EXPECT_EQ(co_await ignored_for(R"({"service_tier":"flex"})"), Names{"service_tier"});
    server.set_script(reply(plain_reply(
        200,
        R"({"choices":[{"message":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-1}]}}]})")));
    EXPECT_EQ(co_await ignored_for(R"({"logprobs":true})"), Names{});
    // A stream's first chunk is often the role alone and decides nothing.
    const auto role =
        event(R"({"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null}]})");
    const auto end = event(end_piece) + event("[DONE]") + last_chunk();
    server.set_script(reply(stream_head() + role + event(piece) + end));
    EXPECT_EQ(co_await ignored_for(R"({"stream":true,"logprobs":true})"), Names{"logprobs"});
    server.set_script(reply(stream_head() + role +
                            event(R"({"choices":[{"index":0,"delta":{"content":"a"},)"
                                  R"("logprobs":{"content":[{"token":"a","logprob":-1}]}}]})") +
                            end));
    EXPECT_EQ(co_await ignored_for(R"({"stream":true,"logprobs":true})"), Names{});
    server.set_script(reply(stream_head() + role + end));  // no text at all
    EXPECT_EQ(co_await ignored_for(R"({"stream":true,"logprobs":true})"), Names{});
  });
}

TEST(UpstreamBackend, VectorsFitTheDimensions) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, reply(plain_reply(200, R"({"data":[{"embedding":[3,4,12]}]})")));
    const auto upstream = backend({server.url()}, {.failures_to_open = 1});
    const auto ask = [&](int dimensions) {
      return json::object({{"input", "a"}, {"dimensions", dimensions}});
    };
    const auto two = ask(2);
    const auto four = ask(4);
    EXPECT_THAT(json::write(co_await upstream->embedding()->embed(two, call())),
                HasSubstr(R"("embedding":[6.0)"));
    // The request asks for more than there is: not the replica's failure.
    EXPECT_EQ(co_await status_of(upstream->embedding()->embed(four, call())), 503);
    EXPECT_EQ(co_await status_of(upstream->embedding()->embed(two, call())), 0);
  });
}

TEST(UpstreamBackend, TheRequestsOwnFaultsAreNotRepeated) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer first(scope,
                         reply(plain_reply(400, R"({"error":{"message":"no","param":"n","code":"c"}})")));
    ScriptedServer second(scope, reply(plain_reply(400, R"({"error":{"message":"no"}})")));
    const auto upstream = backend({first.url("/v1"), second.url("/v1")});
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 400);
    EXPECT_EQ(first.requests.size() + second.requests.size(), 1u);
    first.set_script(reply(plain_reply(401, R"({"error":{"message":"bad key sk-there"}})")));
    second.set_script(reply(plain_reply(401, "")));
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 503);
    first.set_script(reply(plain_reply(429, "")));
    second.set_script(reply(plain_reply(429, "")));
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 429);
  });
}

TEST(UpstreamBackend, TheTimeIsLimited) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, [](const ScriptedRequest&, const Send&) -> Task<Then> {
      co_await async::sleep_for(20s);
      co_return Then::close;
    });
    EXPECT_EQ(co_await status_of(
                  backend({server.url()}, {}, 50ms)->chat()->chat(question, Delivery::whole, call())),
              504);
    EXPECT_EQ(
        co_await status_of(backend({server.url()})->chat()->chat(question, Delivery::whole, call(50ms))),
        504);
    server.set_script([](const ScriptedRequest&, const Send& send) -> Task<Then> {
      co_await send(stream_head() + event(piece));
      co_await async::sleep_for(20s);
      co_return Then::close;
    });
    const auto upstream = backend({server.url()});
    const auto seen =
        co_await read_all(co_await upstream->chat()->chat(question, Delivery::streamed, call(200ms)));
    EXPECT_EQ(seen.back(), "error 504");
  });
}

TEST(UpstreamBackend, ADownReplicaIsLeftAloneAndComesBack) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, reply(plain_reply(500, "")));
    const auto upstream = backend({server.url("/v1")}, {.failures_to_open = 3, .open_time = 100ms});
    for (int i = 0; i < 6; ++i)
      EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 503);
    EXPECT_EQ(server.requests.size(), 3u);  // then it was not asked any more
    co_await async::sleep_for(120ms);
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 503);
    EXPECT_EQ(server.requests.size(), 4u);
    EXPECT_EQ(server.requests.back().target(), "/v1/models");  // still down: no request was risked
    server.set_script(good);
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())),
              503);  // rests twice as long now
    co_await async::sleep_for(220ms);
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 0);
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 0);
  });
}

TEST(UpstreamBackend, TheLeastBusyReplicaIsAsked) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer slow(scope, [](const ScriptedRequest& request, const Send& send) -> Task<Then> {
      co_await async::sleep_for(300ms);
      co_return co_await good(request, send);
    });
    ScriptedServer quick(scope, good);
    const auto upstream = backend({slow.url(), quick.url()});
    async::Scope calls(scope.executor());
    for (int i = 0; i < 2; ++i)
      calls.spawn("call", [](Backend& to) -> Task<void> {
        co_await to.chat()->chat(question, Delivery::whole, call());
      }(*upstream));
    co_await async::sleep_for(100ms);
    for (int i = 0; i < 8; ++i)
      co_await upstream->chat()->chat(question, Delivery::whole, call());
    EXPECT_EQ(slow.requests.size(), 1u);
    EXPECT_EQ(quick.requests.size(), 9u);
    co_await calls.join();
  });
}

TEST(UpstreamBackend, ACallerThatLeavesFreesTheReplica) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, [](const ScriptedRequest&, const Send& send) -> Task<Then> {
      co_await send(stream_head() + event(piece));
      co_await async::sleep_for(20s);
      co_return Then::close;
    });
    const auto upstream = backend({server.url()}, {.failures_to_open = 1});
    auto stream = co_await upstream->chat()->chat(question, Delivery::streamed, call());
    co_await stream->next();
    stream = nullptr;
    server.set_script(good);
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())),
              0);  // leaving is no failure of the replica
  });
}

TEST(UpstreamBackend, CallersThatAreCancelledAreNoFailures) {
  on_runtime([](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, [](const ScriptedRequest&, const Send&) -> Task<Then> {
      co_await async::sleep_for(20s);
      co_return Then::close;
    });
    const auto upstream = backend({server.url("/v1")}, {.failures_to_open = 1});
    const auto ask = [](Backend& to) -> Task<void> {
      co_await to.chat()->chat(question, Delivery::whole, call());
    };
    const auto ask_for_stream = [](Backend& to) -> Task<void> {
      co_await to.chat()->chat(question, Delivery::streamed, call());
    };
    EXPECT_EQ(co_await async::run_unless(ask(*upstream), async::sleep_for(30ms)), std::nullopt);
    EXPECT_EQ(co_await async::run_unless(ask_for_stream(*upstream), async::sleep_for(30ms)), std::nullopt);
    EXPECT_EQ(server.requests.size(), 2u);
    server.set_script(good);
    EXPECT_EQ(co_await status_of(upstream->chat()->chat(question, Delivery::whole, call())), 0);
  });
}

TEST(UpstreamBackend, BaseUrlsAreChecked) {
  EXPECT_THROW(backend({}), std::runtime_error);
  EXPECT_THROW(backend({"ftp://x"}), std::runtime_error);
}

}  // namespace
}  // namespace hearth::engine
