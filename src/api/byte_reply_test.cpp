// Replies of bytes over real sockets, through the whole pipeline: the fixture's get_thing_part.
#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "api/blob_intake.hpp"
#include "api/test_server.hpp"
#include "base/api_error.hpp"
#include "base/text.hpp"
#include "store/blobs/test_blobs.hpp"

namespace hearth::api {
namespace {

using net::testing::RawClient;
using net::testing::TestServer;
using ::testing::AllOf;
using ::testing::EndsWith;
using testing::fixture_api;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing::TestApi;
using namespace std::chrono_literals;

constexpr UnixSeconds modified = 1'745'913'600;  // Tue, 29 Apr 2025 08:00:00 GMT

// Letters, of which reading may fail; counts what is read and says when it is gone.
struct Watched {
  std::uint64_t size = 100;
  std::uint64_t fails_at = ~std::uint64_t{0};
  std::uint64_t read = 0;
  int alive = 0;
};

class Letters final : public contract::ByteSource {
 public:
  explicit Letters(Watched& watched) : watched_(watched) { ++watched_.alive; }
  ~Letters() override { --watched_.alive; }
  std::uint64_t size() const override { return watched_.size; }
  Task<std::size_t> read(std::uint64_t offset, std::span<char> out) override {
    if (offset + out.size() > watched_.fails_at) throw store::BlobDamaged(BlobId("blob_x"), "for a test");
    const auto size = std::min<std::uint64_t>(out.size(), watched_.size - offset);
    for (std::size_t i = 0; i < size; ++i)
      out[i] = letter(offset + i);
    watched_.read += size;
    co_return size;
  }
  static char letter(std::uint64_t at) { return static_cast<char>('a' + at % 26); }
  static std::string text(std::uint64_t from, std::uint64_t size) {
    std::string out(size, '\0');
    for (std::uint64_t i = 0; i < size; ++i)
      out[i] = letter(from + i);
    return out;
  }

 private:
  Watched& watched_;
};

class ByteReply : public ::testing::Test {
 protected:
  using Handler = std::function<Task<contract::Reply>(Services&, Call&)>;

  // A reply to GET /v1/things/a/parts/b, by a method of its own and with more header lines.
  Task<std::string> ask(TestServer& server, std::string_view more = "", std::string_view method = "GET") {
    return server.exchange(api_->head(std::string(method) + " /v1/things/a/parts/b") + std::string(more) +
                           "\r\n");
  }
  void run(Handler handler, const TestApi::Body& body) {
    api_.emplace(fixture_api(std::move(handler)));
    api_->run(body);
  }
  Handler letters() {
    return [this](Services&, Call&) -> Task<contract::Reply> {
      co_return contract::Reply::stored({.content_type = "text/plain",
                                         .source = std::make_unique<Letters>(watched_),
                                         .tag = "abc",
                                         .last_modified = modified,
                                         .file_name = "../my \"file\".txt"});
    };
  }

  Watched watched_;
  std::optional<TestApi> api_;
};

TEST_F(ByteReply, TheWhole) {
  run(letters(), [this](TestServer& server) -> Task<void> {
    const auto reply = co_await ask(server);
    EXPECT_THAT(reply, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("\r\ncontent-type: text/plain\r\n"),
                             HasSubstr("\r\ncontent-length: 100\r\n"),
                             HasSubstr("\r\naccept-ranges: bytes\r\n"), HasSubstr("\r\netag: \"abc\"\r\n"),
                             HasSubstr("\r\nlast-modified: Tue, 29 Apr 2025 08:00:00 GMT\r\n"),
                             HasSubstr("\r\ncontent-disposition: attachment; filename=\"my _file_.txt\"; "
                                       "filename*=UTF-8''my%20%22file%22.txt\r\n"),
                             HasSubstr("\r\nx-content-type-options: nosniff\r\n"),
                             HasSubstr("\r\nx-request-id: "), EndsWith("\r\n\r\n" + Letters::text(0, 100))));
    const auto described = co_await ask(server, "", "HEAD");
    EXPECT_THAT(described, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("\r\ncontent-length: 100\r\n"),
                                 HasSubstr("\r\netag: \"abc\"\r\n"), EndsWith("\r\n\r\n")));
    EXPECT_EQ(watched_.read, 100u);
    EXPECT_EQ(watched_.alive, 0);
  });
}

TEST_F(ByteReply, RangesAndConditions) {
  run(letters(), [this](TestServer& server) -> Task<void> {
    EXPECT_THAT(
        co_await ask(server, "Range: bytes=10-12\r\n"),
        AllOf(StartsWith("HTTP/1.1 206 Partial Content\r\n"),
              HasSubstr("\r\ncontent-range: bytes 10-12/100\r\n"), HasSubstr("\r\ncontent-length: 3\r\n"),
              HasSubstr("\r\netag: \"abc\"\r\n"), EndsWith("\r\n\r\n" + Letters::text(10, 3))));
    EXPECT_THAT(co_await ask(server, "Range: bytes=-5\r\n"), EndsWith("\r\n\r\n" + Letters::text(95, 5)));
    EXPECT_THAT(co_await ask(server, "Range: bytes=0-1,5-6\r\n"),
                AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\n" + Letters::text(0, 100))));
    EXPECT_THAT(co_await ask(server, "Range: bytes=0-1\r\nIf-Range: \"old\"\r\n"),
                StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(co_await ask(server, "Range: bytes=0-1\r\nIf-Range: \"abc\"\r\n"),
                StartsWith("HTTP/1.1 206 "));
    EXPECT_THAT(co_await ask(server, "Range: bytes=100-\r\n"),
                AllOf(StartsWith("HTTP/1.1 416 "), HasSubstr("\r\ncontent-range: bytes */100\r\n"),
                      HasSubstr("\r\ncontent-type: application/json\r\n"),
                      HasSubstr(R"("code":"range_not_satisfiable")")));
    for (const char* condition :
         {"If-None-Match: \"abc\"\r\n", "If-Modified-Since: Tue, 29 Apr 2025 08:00:00 GMT\r\n"}) {
      for (const char* method : {"GET", "HEAD"}) {
        const auto reply = co_await ask(server, condition, method);
        EXPECT_THAT(reply, AllOf(StartsWith("HTTP/1.1 304 "), HasSubstr("\r\netag: \"abc\"\r\n"),
                                 Not(HasSubstr("content-type")), Not(HasSubstr("content-length")),
                                 EndsWith("\r\n\r\n")));
      }
    }
    EXPECT_THAT(co_await ask(server, "If-Match: \"old\"\r\n"),
                AllOf(StartsWith("HTTP/1.1 412 "), HasSubstr(R"("code":"precondition_failed")")));
    EXPECT_THAT(co_await ask(server, "If-Match: \"old\"\r\n", "HEAD"),
                AllOf(StartsWith("HTTP/1.1 412 "), EndsWith("\r\n\r\n")));
    EXPECT_EQ(watched_.alive, 0);
  });
}

// Replies of every kind one after the other: each ends where it says.
TEST_F(ByteReply, OneConnectionCarriesAllKinds) {
  run(letters(), [this](TestServer& server) -> Task<void> {
    const auto client = co_await server.connect();
    const auto request = [this](std::string_view method, std::string_view more) {
      std::string text =
          api_->head(std::string(method) + " /v1/things/a/parts/b") + std::string(more) + "\r\n";
      text.erase(text.find("Connection: close\r\n"), 19);
      return text;
    };
    co_await client->send(request("GET", "") + request("HEAD", "") + request("GET", "Range: bytes=1-2\r\n") +
                          request("GET", "If-None-Match: *\r\n") + request("GET", "Range: bytes=500-\r\n") +
                          request("GET", "Range: bytes=3-4\r\n"));
    EXPECT_THAT(co_await client->read_reply(), EndsWith("\r\n\r\n" + Letters::text(0, 100)));
    EXPECT_THAT(co_await client->read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(co_await client->read_reply(), AllOf(StartsWith("HTTP/1.1 206 "), EndsWith("\r\n\r\nbc")));
    EXPECT_THAT(co_await client->read_reply(), StartsWith("HTTP/1.1 304 "));
    EXPECT_THAT(co_await client->read_reply(), StartsWith("HTTP/1.1 416 "));
    EXPECT_THAT(co_await client->read_reply(), AllOf(StartsWith("HTTP/1.1 206 "), EndsWith("\r\n\r\nde")));
  });
}

TEST_F(ByteReply, Nothing) {
  watched_.size = 0;
  run(letters(), [this](TestServer& server) -> Task<void> {
    EXPECT_THAT(co_await ask(server),
                AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("content-length: 0\r\n"), EndsWith("\r\n\r\n")));
    EXPECT_THAT(co_await ask(server, "Range: bytes=0-\r\n"),
                AllOf(StartsWith("HTTP/1.1 416 "), HasSubstr("content-range: bytes */0\r\n")));
  });
}

TEST_F(ByteReply, ASlowClientSlowsTheReading) {
  watched_.size = 200'000'000;
  run(letters(), [this](TestServer& server) -> Task<void> {
    const auto client = co_await server.connect();
    co_await client->send(api_->head("GET /v1/things/a/parts/b") + "\r\n");
    EXPECT_THAT(co_await client->read_until("\r\n\r\n"), HasSubstr("content-length: 200000000\r\n"));
    co_await async::sleep_for(200ms);
    EXPECT_LT(watched_.read, 32'000'000u);  // what the system's buffers hold
    EXPECT_EQ(watched_.alive, 1);
    client->close();
    for (int i = 0; i < 300 && watched_.alive > 0; ++i)
      co_await async::sleep_for(10ms);
    EXPECT_EQ(watched_.alive, 0);  // who left needs no more
    EXPECT_LT(watched_.read, 32'000'000u);
  });
}

TEST_F(ByteReply, WhatCannotBeReadIsAnErrorOrCutOff) {
  watched_.size = 300'000;
  watched_.fails_at = 0;
  run(letters(), [this](TestServer& server) -> Task<void> {
    EXPECT_THAT(co_await ask(server), AllOf(StartsWith("HTTP/1.1 500 "),
                                            HasSubstr(R"("type":"server_error")"), Not(HasSubstr("blob_"))));
    watched_.fails_at = 150'000;
    const auto cut = co_await ask(server);
    EXPECT_THAT(cut, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("content-length: 300000\r\n")));
    EXPECT_LT(cut.size(), 200'000u);
    EXPECT_EQ(watched_.alive, 0);
  });
}

TEST_F(ByteReply, ABlobIsOne) {
  BlobId id;
  const Handler handler = [&id](Services& services, Call&) -> Task<contract::Reply> {
    auto reader = co_await services.objects.blobs.find(id);
    if (!reader) throw ApiError::not_found("There is no such part.");
    const std::string sha256 = reader->info().sha256;
    co_return contract::Reply::stored({.content_type = "application/octet-stream",
                                       .source = blob_source(std::move(reader)),
                                       .tag = sha256});
  };
  run(handler, [&](TestServer& server) -> Task<void> {
    const std::string bytes = store::sample_bytes(500'000);
    id = co_await store::put_blob(api_->services().blobs, bytes);
    const auto reply = co_await ask(server);
    EXPECT_THAT(reply, HasSubstr("\r\netag: \"" + text::sha256_hex(bytes) + "\"\r\n"));
    EXPECT_TRUE(reply.ends_with("\r\n\r\n" + bytes));
    const auto part = co_await ask(server, "Range: bytes=131071-131073\r\n");
    EXPECT_TRUE(part.ends_with("\r\n\r\n" + bytes.substr(131'071, 3)));
    co_await api_->services().blobs.remove(id);
    EXPECT_THAT(co_await ask(server), StartsWith("HTTP/1.1 404 "));
  });
}

// Speech, say: made while it is sent.
struct Speech {
  int pieces = 3;
  int fails_at = -1;
  int given = 0;
  bool pauses = true;
};

Task<void> speak(Speech& speech, contract::ByteSink& sink) {
  for (speech.given = 0; speech.given < speech.pieces; ++speech.given) {
    if (speech.given == speech.fails_at)
      throw ApiError::unavailable("engine_unavailable", "The engine has failed.");
    co_await sink.send(std::string(1000, static_cast<char>('a' + speech.given % 26)));
    if (speech.pieces > 1000 && speech.pauses) co_await async::sleep_for(1ms);
  }
}

class LiveReply : public ByteReply {
 protected:
  Handler live() {
    return [this](Services&, Call&) -> Task<contract::Reply> {
      co_return contract::Reply::live(
          {"audio/mpeg", [this](contract::ByteSink& sink) { return speak(speech_, sink); }});
    };
  }
  Speech speech_;
};

TEST_F(LiveReply, IsChunked) {
  run(live(), [this](TestServer& server) -> Task<void> {
    const auto reply = co_await ask(server, "Range: bytes=0-1\r\n");
    EXPECT_THAT(reply, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("\r\ncontent-type: audio/mpeg\r\n"),
                             HasSubstr("\r\ntransfer-encoding: chunked\r\n"), Not(HasSubstr("accept-ranges")),
                             HasSubstr("\r\n\r\n3e8\r\naaaa"), HasSubstr("\r\n3e8\r\ncccc"),
                             EndsWith("cc\r\n0\r\n\r\n")));
    const auto described = co_await ask(server, "", "HEAD");
    EXPECT_THAT(described, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("\r\n\r\n")));
    speech_.pieces = 0;
    EXPECT_THAT(co_await ask(server),
                AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("\r\n\r\n0\r\n\r\n")));
  });
}

TEST_F(LiveReply, FailsBeforeOrAfterItsBeginning) {
  run(live(), [this](TestServer& server) -> Task<void> {
    speech_.fails_at = 0;
    EXPECT_THAT(co_await ask(server),
                AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr(R"("code":"engine_unavailable")")));
    speech_.fails_at = 2;
    EXPECT_THAT(co_await ask(server), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("bbb"),
                                            Not(HasSubstr("ccc")), Not(HasSubstr("\r\n0\r\n"))));
  });
}

// speak_thing goes on without its client.
TEST_F(LiveReply, GoesOnWhereTheOperationSaysSo) {
  speech_.pieces = 200;
  run(live(), [this](TestServer& server) -> Task<void> {
    const std::string head = api_->head("POST /v1/things/a/speech") + "\r\n";
    EXPECT_THAT(co_await server.exchange(head), EndsWith("\r\n0\r\n\r\n"));
    speech_.pieces = 20'000;  // more than the system's buffers hold
    speech_.given = 0;
    speech_.pauses = false;
    const auto client = co_await server.connect();
    co_await client->send(head);
    co_await client->read_until("bbb");
    client->stream().reset();
    for (int i = 0; i < 1000 && speech_.given < speech_.pieces; ++i)
      co_await async::sleep_for(10ms);
    EXPECT_EQ(speech_.given, speech_.pieces);
  });
}

TEST_F(LiveReply, EndsWithItsClient) {
  speech_.pieces = 1'000'000;
  run(live(), [this](TestServer& server) -> Task<void> {
    const auto client = co_await server.connect();
    co_await client->send(api_->head("GET /v1/things/a/parts/b") + "\r\n");
    co_await client->read_until("bbb");
    client->close();
    for (int i = 0; i < 300; ++i) {
      const int before = speech_.given;
      co_await async::sleep_for(20ms);
      if (speech_.given == before) break;
    }
    const int given = speech_.given;
    co_await async::sleep_for(50ms);
    EXPECT_EQ(speech_.given, given);
    EXPECT_LT(given, 3000);
  });
}

}  // namespace
}  // namespace hearth::api
