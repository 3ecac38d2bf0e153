#include "engine/catalogue/model_pull.hpp"

#include <fstream>
#include <gmock/gmock.h>
#include <unistd.h>

#include "base/text.hpp"
#include "engine/scripted_server.hpp"

namespace hearth::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::on_runtime;
using testing::ScriptedRequest;
using testing::ScriptedServer;
using Send = ScriptedServer::Send;
using Then = ScriptedServer::Then;

const std::string content = [] {
  std::string bytes;
  for (int i = 0; i < 20'000; ++i)
    bytes += std::to_string(i) + " ";
  return bytes;
}();

class ModelPull : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/hearth-pull-XXXXXX";
    folder_ = ::mkdtemp(pattern);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  PullSettings settings(const ScriptedServer& server) const {
    return {.cache = folder_, .endpoint = server.url(), .attempts = 3, .pause = 1ms};
  }
  static PullSource source() { return *PullSource::parse("hf:org/repo/small.gguf"); }
  std::filesystem::path target() const { return folder_ / "org/repo/small.gguf"; }
  bool has_part() const { return std::filesystem::exists(target().string() + ".part"); }
  void store_part(std::string_view bytes) const {
    std::filesystem::create_directories(target().parent_path());
    std::ofstream(target().string() + ".part", std::ios::binary) << bytes;
    std::ofstream(target().string() + ".part.version") << "\"v1\"\n";
  }
  std::string stored() const {
    std::ifstream file(target(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path folder_;
};

// What the pull said when it failed; empty when it did not.
Task<std::string> failure_of(Task<PulledFile> pull) {
  try {
    co_await std::move(pull);
  } catch (const PullError& error) {
    co_return error.what();
  }
  co_return "";
}

// A decent server with ranges. Sends at most `most` bytes of each body before it breaks off.
struct Decent {
  std::size_t most = std::string::npos;
  std::string etag = "\"v1\"";
  Task<Then> operator()(const ScriptedRequest& request, const Send& send) const {
    const std::string range = request.header("range");
    std::size_t begin = 0;
    if (!range.empty() && request.header("if-range") == etag) begin = std::stoul(range.substr(6));
    std::string head = begin > 0 ? fmt::format("HTTP/1.1 206 P\r\ncontent-range: bytes {}-{}/{}\r\n", begin,
                                               content.size() - 1, content.size())
                                 : "HTTP/1.1 200 OK\r\n";
    head += fmt::format("etag: {}\r\ncontent-length: {}\r\n\r\n", etag, content.size() - begin);
    co_await send(head + content.substr(begin, most));
    co_return content.size() - begin > most ? Then::close : Then::keep;
  }
};

TEST_F(ModelPull, DownloadsOnceAndFollowsTheRedirectOfTheHub) {
  on_runtime([&](async::Scope& scope) -> Task<void> {
    ScriptedServer depot(scope, Decent{});
    const std::string link = fmt::format(
        "HTTP/1.1 302 F\r\nlocation: {}/blob?sig=1\r\nx-linked-size: {}\r\nx-linked-etag: "
        "\"{}\"\r\ncontent-length: 0\r\n\r\n",
        depot.url(), content.size(), text::sha256_hex(content));
    ScriptedServer hub(scope, [link](const ScriptedRequest&, const Send& send) -> Task<Then> {
      co_await send(link);
      co_return Then::keep;
    });
    auto with_token = settings(hub);
    with_token.token = "hf_secret";
    PullProgress last;
    const auto file = co_await pull_model(source(), with_token, [&](const PullProgress& now) { last = now; });
    EXPECT_EQ(file.bytes, content.size());
    EXPECT_EQ(stored(), content);
    EXPECT_EQ(last.received, content.size());
    EXPECT_EQ(last.total, content.size());
    EXPECT_FALSE(has_part());
    EXPECT_EQ(hub.requests.at(0).target(), "/org/repo/resolve/main/small.gguf");
    EXPECT_EQ(hub.requests.at(0).header("authorization"), "Bearer hf_secret");
    EXPECT_EQ(depot.requests.at(0).target(), "/blob?sig=1");
    EXPECT_EQ(depot.requests.at(0).header("authorization"), "");  // the token is for the hub only
    EXPECT_TRUE((co_await pull_model(source(), with_token, nullptr)).was_there);
    EXPECT_EQ(hub.requests.size(), 1u);
  });
}

TEST_F(ModelPull, GoesOnWhereItBrokeOff) {
  on_runtime([&](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, Decent{.most = 30'000});
    const auto file = co_await pull_model(source(), settings(server), nullptr);
    EXPECT_EQ(stored(), content);
    EXPECT_EQ(file.sha256, text::sha256_hex(content));
    EXPECT_EQ(server.requests.size(), content.size() / 30'000 + 1);
    EXPECT_EQ(server.requests.at(1).header("range"), "bytes=30000-");
  });
}

TEST_F(ModelPull, GivesUpAndLaterGoesOn) {
  on_runtime([&](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, [](const ScriptedRequest& request, const Send& send) -> Task<Then> {
      if (!request.header("range").empty()) co_return Then::close;
      co_return co_await Decent{.most = 1000}(request, send);
    });
    const auto message = co_await failure_of(pull_model(source(), settings(server), nullptr));
    EXPECT_THAT(message, HasSubstr("given up after 3 attempts"));
    EXPECT_THAT(message, HasSubstr("1000 bytes) is kept"));
    EXPECT_EQ(server.requests.size(), 4u);
    server.set_script(Decent{});
    bool resumed = false;
    co_await pull_model(source(), settings(server), [&](const PullProgress& now) { resumed = now.resumed; });
    EXPECT_TRUE(resumed);
    EXPECT_EQ(stored(), content);
  });
}

TEST_F(ModelPull, APartOfAnotherVersionBeginsAnew) {
  on_runtime([&](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, [](const ScriptedRequest& request, const Send& send) -> Task<Then> {
      if (request.header("range").empty())
        co_return co_await Decent{.most = 1000, .etag = "\"old\""}(request, send);
      co_return co_await Decent{.etag = "\"new\""}(request, send);
    });
    co_await pull_model(source(), settings(server), nullptr);
    EXPECT_EQ(stored(), content);
  });
}

TEST_F(ModelPull, LiesAboutTheLengthAreNoticed) {
  on_runtime([&](async::Scope& scope) -> Task<void> {
    // Announces more than it has, and less than the hub says.
    ScriptedServer server(scope, [](const ScriptedRequest&, const Send& send) -> Task<Then> {
      co_await send(
          fmt::format("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", content.size() + 500, content));
      co_return Then::close;
    });
    EXPECT_THAT(co_await failure_of(pull_model(source(), settings(server), nullptr)), HasSubstr("given up"));
    server.set_script([](const ScriptedRequest&, const Send& send) -> Task<Then> {
      co_await send("HTTP/1.1 200 OK\r\nx-linked-size: 999\r\ncontent-length: 5\r\n\r\nshort");
      co_return Then::keep;
    });
    EXPECT_THAT(co_await failure_of(pull_model(source(), settings(server), nullptr)),
                HasSubstr("speaks of 5 bytes and the hub of 999"));
    server.set_script([](const ScriptedRequest&, const Send& send) -> Task<Then> {
      co_await send(
          "HTTP/1.1 200 OK\r\nx-linked-size: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nlarge\r\n0\r\n\r\n");
      co_return Then::keep;
    });
    EXPECT_THAT(co_await failure_of(pull_model(source(), settings(server), nullptr)),
                HasSubstr("more than the 3 bytes"));
    EXPECT_FALSE(std::filesystem::exists(target()));
  });
}

// A server that answers every range with 416, with this `content-range` header.
ScriptedServer::Script no_range(std::string content_range) {
  return [content_range](const ScriptedRequest& request, const Send& send) -> Task<Then> {
    if (request.header("range").empty()) co_return co_await Decent{}(request, send);
    co_await send("HTTP/1.1 416 R\r\ncontent-length: 0\r\n" + content_range + "\r\n");
    co_return Then::keep;
  };
}

TEST_F(ModelPull, ARefusedRangeIsNoProofOfAWholeFile) {
  on_runtime([&](async::Scope& scope) -> Task<void> {
    for (const std::string& content_range : {std::string(), std::string("content-range: bytes */x\r\n"),
                                             fmt::format("content-range: bytes */{}\r\n", content.size())}) {
      store_part("some bytes");
      ScriptedServer server(scope, no_range(content_range));
      co_await pull_model(source(), settings(server), nullptr);
      EXPECT_EQ(stored(), content) << content_range;
      EXPECT_EQ(server.requests.size(), 2u);
      std::filesystem::remove(target());
    }
    // The part is the whole file: only then there is nothing to fetch.
    store_part(content);
    ScriptedServer server(scope, no_range(fmt::format("content-range: bytes */{}\r\n", content.size())));
    co_await pull_model(source(), settings(server), nullptr);
    EXPECT_EQ(stored(), content);
    EXPECT_EQ(server.requests.size(), 1u);
    std::filesystem::remove(target());
    server.set_script([](const ScriptedRequest&, const Send& send) -> Task<Then> {
      co_await send("HTTP/1.1 416 R\r\ncontent-length: 0\r\n\r\n");
      co_return Then::keep;
    });
    EXPECT_THAT(co_await failure_of(pull_model(source(), settings(server), nullptr)), HasSubstr("given up"));
  });
}

TEST_F(ModelPull, APartWithoutAVersionIsNotResumed) {
  on_runtime([&](async::Scope& scope) -> Task<void> {
    int round = 0;
    ScriptedServer server(scope, [&round](const ScriptedRequest& request, const Send& send) -> Task<Then> {
      co_return co_await Decent{.most = ++round < 3 ? 1000 : std::string::npos, .etag = "W/\"v1\""}(request,
                                                                                                    send);
    });
    co_await pull_model(source(), settings(server), nullptr);
    EXPECT_EQ(stored(), content);
    EXPECT_EQ(server.requests.size(), 3u);
    for (const auto& request : server.requests)
      EXPECT_EQ(request.header("range") + request.header("if-range"), "");
  });
}

TEST_F(ModelPull, AWrongChecksumThrowsTheFileAway) {
  on_runtime([&](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, Decent{});
    auto strict = settings(server);
    strict.sha256 = std::string(64, 'a');
    EXPECT_THAT(co_await failure_of(pull_model(source(), strict, nullptr)), HasSubstr("checksum"));
    EXPECT_FALSE(std::filesystem::exists(target()));
    EXPECT_FALSE(has_part());
    strict.sha256 = text::sha256_hex(content);
    co_await pull_model(source(), strict, nullptr);
    EXPECT_EQ(stored(), content);
  });
}

TEST_F(ModelPull, ErrorsSpeak) {
  on_runtime([&](async::Scope& scope) -> Task<void> {
    ScriptedServer server(scope, Decent{});
    const auto answer_with = [&](std::string bytes) {
      server.set_script([bytes](const ScriptedRequest&, const Send& send) -> Task<Then> {
        co_await send(bytes);
        co_return Then::keep;
      });
    };
    answer_with(testing::plain_reply(404, "Entry not found"));
    EXPECT_THAT(co_await failure_of(pull_model(source(), settings(server), nullptr)),
                HasSubstr("no file org/repo/small.gguf"));
    EXPECT_EQ(server.requests.size(), 1u);
    answer_with(testing::plain_reply(401, ""));
    EXPECT_THAT(co_await failure_of(pull_model(source(), settings(server), nullptr)), HasSubstr("token"));
    answer_with(testing::plain_reply(302, "", "location: /again\r\n"));
    EXPECT_THAT(co_await failure_of(pull_model(source(), settings(server), nullptr)), HasSubstr("circles"));
    answer_with(testing::plain_reply(302, "", "location: ftp://x/y\r\n"));
    EXPECT_THAT(co_await failure_of(pull_model(source(), settings(server), nullptr)), HasSubstr("ftp://x/y"));
    answer_with(testing::plain_reply(500, ""));
    EXPECT_THAT(co_await failure_of(pull_model(source(), settings(server), nullptr)),
                HasSubstr("the server answered 500"));
  });
}

TEST(PullSource, IsParsedStrictly) {
  const auto deep = PullSource::parse("hf:org/repo/sub/folder/m-Q4.gguf");
  ASSERT_TRUE(deep);
  EXPECT_EQ(deep->organization, "org");
  EXPECT_EQ(deep->repository, "repo");
  EXPECT_EQ(deep->file, "sub/folder/m-Q4.gguf");
  for (const char* bad :
       {"", "hf:", "org/repo/m.gguf", "hf:org/m.gguf", "hf:org/repo/m.bin", "hf:../../m.gguf",
        "hf:org/repo/../m.gguf", "hf:org//m.gguf", "hf:org/repo/ m.gguf"})
    EXPECT_FALSE(PullSource::parse(bad)) << bad;
}

}  // namespace
}  // namespace hearth::engine
