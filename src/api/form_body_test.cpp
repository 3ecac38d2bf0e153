// Forms over real sockets, through the whole pipeline: the fixture's upload_thing.
#include <fstream>
#include <gmock/gmock.h>

#include <gtest/gtest.h>

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
using ::testing::StartsWith;
using testing::TestApi;
using namespace std::chrono_literals;

constexpr std::string_view upload = "POST /v1/things/special/content";

// Answers with the fields and what it was told of each file. A file is kept when the purpose is "two";
// "broken" as the strategy's type lets the handler fail.
Task<contract::Reply> take_form(Services&, Call& call) {
  json::array files;
  for (contract::IncomingFile& file : call.files) {
    std::string content(std::min<std::uint64_t>(file.content->size(), 1000), '\0');
    content.resize(co_await file.content->read(0, content));
    json::object seen{{"field", file.field},
                      {"name", file.file_name},
                      {"type", file.content_type},
                      {"size", file.content->size()},
                      {"sha256_is_right", file.sha256 == text::sha256_hex(content)},
                      {"content", content}};
    if (call.body_object()["purpose"] == "two") seen["id"] = (co_await file.content->keep()).str();
    files.push_back(std::move(seen));
  }
  if (const auto* strategy = json::find_object(call.body_object(), "strategy");
      strategy && json::find_string(*strategy, "type") == "broken") {
    throw ApiError::conflict("The handler does not like it.");
  }
  co_return contract::Reply::of(
      {{"name", "a"}, {"free", {{"fields", *call.body}, {"files", std::move(files)}}}});
}

std::string text_part(std::string_view name, std::string_view value) {
  return fmt::format("--XyZ\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n", name, value);
}
std::string file_part(std::string_view name, std::string_view bytes, std::string_view file_name = "a.txt") {
  return fmt::format(
      "--XyZ\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: "
      "text/plain\r\n\r\n"
      "{}\r\n",
      name, file_name, bytes);
}
const std::string last_line = "--XyZ--\r\n";
const std::string usual_form = text_part("purpose", "one") + file_part("file", "some\r\n--XyY content") +
                               text_part("include[]", "x") + last_line;

class FormBody : public ::testing::Test {
 protected:
  std::string head(std::string_view more) const {
    return api_->head(upload) + "Content-Type: multipart/form-data; boundary=XyZ\r\n" + std::string(more) +
           "\r\n";
  }
  std::string sized(std::string_view body) const {
    return head(fmt::format("Content-Length: {}\r\n", body.size())) + std::string(body);
  }
  // In chunks of that size.
  std::string chunked(std::string_view body, std::size_t chunk) const {
    std::string text = head("Transfer-Encoding: chunked\r\n");
    for (std::size_t at = 0; at < body.size(); at += chunk) {
      const std::string_view piece = body.substr(at, chunk);
      text += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    }
    return text + "0\r\n\r\n";
  }
  static json::object body_of(const std::string& reply) {
    const auto body = json::parse(reply.substr(reply.find("\r\n\r\n") + 4));
    EXPECT_TRUE(body) << reply;
    return body && body->is_object() ? body->get_object() : json::object();
  }

  // How many blobs there are, and how many half-written files once the pool has nothing to do.
  Task<std::size_t> count_blobs() { co_return (co_await store::list_all(api_->services().blobs)).size(); }
  Task<std::size_t> count_drafts() {
    co_await api_->services().blob_work.run([] {});
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(api_->services().blob_folder() / "drafts"))
      count += entry.is_regular_file();
    co_return count;
  }
  // Soon, since a session that was cut off ends when it notices.
  Task<void> expect_nothing_left() {
    std::size_t drafts = 1;
    for (int i = 0; i < 300 && drafts > 0; ++i) {
      drafts = co_await count_drafts();
      if (drafts > 0) co_await async::sleep_for(10ms);
    }
    EXPECT_EQ(drafts, 0u);
    EXPECT_EQ(co_await count_blobs(), 0u);
  }

  std::optional<testing::LimitedFixture> limited_;  // what `api_` serves in some tests
  std::optional<TestApi> api_{std::in_place, fixture_api(&take_form)};
};

TEST_F(FormBody, FieldsStandBeforeAndAfterTheFile) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    const auto reply = co_await server.exchange(sized(usual_form));
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
    const json::value seen = body_of(reply)["free"];
    EXPECT_EQ(
        seen.at("fields"),
        json::value(
            {{"purpose", "one"}, {"file", "a.txt"}, {"include", json::array{"x"}}, {"temperature", 0.5}}))
        << json::write(seen);
    const json::value& file = seen.at("files").at(0);
    EXPECT_EQ(file.at("field"), "file");
    EXPECT_EQ(file.at("name"), "a.txt");
    EXPECT_EQ(file.at("type"), "text/plain");
    EXPECT_EQ(file.at("size"), 19u);
    EXPECT_EQ(file.at("content"), "some\r\n--XyY content");
    EXPECT_EQ(file.at("sha256_is_right"), true);
    co_await expect_nothing_left();
  };
  api_->run(body);
}

TEST_F(FormBody, SeveralFilesOfOneField) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    const auto form = file_part("image[]", "first") + file_part("file", "", "") +
                      text_part("purpose", "one") + file_part("image[]", "second", "../b") + last_line;
    const auto seen = body_of(co_await server.exchange(sized(form)))["free"];
    EXPECT_EQ(seen.at("files").as_array().size(), 3u);
    EXPECT_EQ(seen.at("files").at(0).at("content"), "first");
    EXPECT_EQ(seen.at("files").at(1).at("size"), 0u);
    EXPECT_EQ(seen.at("files").at(2).at("field"), "image");
    EXPECT_EQ(seen.at("files").at(2).at("name"), "../b");  // as sent; no path is made of it
    co_await expect_nothing_left();
  };
  api_->run(body);
}

TEST_F(FormBody, WhatIsKeptBecomesABlob) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    std::string bytes;  // the handler shows some of them as text
    for (int i = 0; bytes.size() < 300'000; ++i)
      bytes += std::to_string(i);
    const auto form = file_part("file", bytes) + text_part("purpose", "two") + last_line;
    const auto reply = co_await server.exchange(sized(form));
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
    const auto seen = body_of(reply)["free"];
    const BlobId id(std::string(seen.at("files").at(0).at("id").as_string()));
    EXPECT_TRUE(co_await store::find_bytes(api_->services().blobs, id) == bytes);
    EXPECT_EQ(co_await count_blobs(), 1u);
    EXPECT_EQ(co_await count_drafts(), 0u);
  };
  api_->run(body);
}

TEST_F(FormBody, EveryCutGivesTheSame) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    const std::string expected = body_of(co_await server.exchange(sized(usual_form))).at("free").is_object()
                                     ? json::write(body_of(co_await server.exchange(sized(usual_form))))
                                     : "";
    const auto ask = [&server](std::string first, std::string second) -> Task<std::string> {
      const auto client = co_await server.connect();
      co_await client->send(std::move(first));
      co_await async::sleep_for(0ms);  // the server reads what there is
      co_await client->send(std::move(second));
      co_return co_await client->read_to_end();
    };
    const std::string whole = sized(usual_form);
    for (std::size_t cut = whole.size() - usual_form.size(); cut < whole.size(); ++cut) {
      const auto reply = co_await ask(whole.substr(0, cut), whole.substr(cut));
      EXPECT_EQ(json::write(body_of(reply)), expected) << cut;
    }
    for (const std::size_t chunk : {1U, 2U, 3U, 7U, 64U, 1000U}) {
      const auto reply = co_await server.exchange(chunked(usual_form, chunk));
      EXPECT_EQ(json::write(body_of(reply)), expected) << chunk;
    }
    // One byte at a time.
    const auto client = co_await server.connect();
    for (const char byte : whole) {
      co_await client->send(std::string(1, byte));
      co_await async::sleep_for(0ms);
    }
    EXPECT_EQ(json::write(body_of(co_await client->read_to_end())), expected);
    co_await expect_nothing_left();
  };
  api_->run(body);
}

TEST_F(FormBody, AClientThatVanishesLeavesNothing) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    for (const std::string& whole : {sized(usual_form), chunked(usual_form, 5)}) {
      for (std::size_t cut = 1; cut < whole.size(); cut += cut + 200 < whole.size() ? 3 : 1) {
        const auto client = co_await server.connect();
        co_await client->send(whole.substr(0, cut));
        if (cut % 2 == 0) co_await async::sleep_for(0ms);
        cut % 3 == 0 ? client->stream().reset() : client->close();
      }
    }
    co_await expect_nothing_left();
    EXPECT_THAT(co_await server.exchange(sized(usual_form)), StartsWith("HTTP/1.1 200 OK\r\n"));
  };
  api_->run(body);
}

TEST_F(FormBody, WhatIsWrongIsNamed) {
  struct Case {
    std::string form;
    std::string status;
    std::string words;
  };
  const std::string file = file_part("file", "content");
  const std::string purpose = text_part("purpose", "one");
  const std::vector<Case> cases{
      {"", "400", "invalid_multipart"},
      {file + purpose, "400", "invalid_multipart"},
      {file + "--XyZ\r\nno header\r\n\r\n" + last_line, "400", "invalid_multipart"},
      {file + "--XyZ\r\nContent-Disposition: form-data; name=\"" + std::string(20'000, 'x'), "400",
       "invalid_multipart"},
      {purpose + last_line, "400", R"("param":"file")"},
      {file + last_line, "400", R"("param":"purpose")"},
      {file + text_part("purpose", "three") + last_line, "400", R"("param":"purpose")"},
      {file + purpose + text_part("other", "x") + last_line, "400", R"("param":"other")"},
      {file + purpose + file + last_line, "400", R"("param":"file")"},
      {purpose + purpose + file + last_line, "400", R"("param":"purpose")"},
      {purpose + text_part("temperature", "warm") + file + last_line, "400", R"("param":"temperature")"},
      {file + text_part("purpose", std::string(2'000'000, 'x')) + last_line, "400", "purpose"},
  };
  const TestApi::Body body = [&](TestServer& server) -> Task<void> {
    for (const Case& test : cases) {
      for (const std::string& request : {sized(test.form), chunked(test.form, 1000)}) {
        const auto reply = co_await server.exchange(request);
        EXPECT_THAT(reply, AllOf(StartsWith("HTTP/1.1 " + test.status), HasSubstr(test.words)))
            << test.form.substr(0, 300);
      }
    }
    co_await expect_nothing_left();
  };
  api_->run(body);
}

TEST_F(FormBody, WrongTypesAreRefusedByTheHead) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    const auto ask = [&](std::string_view type) {
      return server.exchange(api_->head(upload) + std::string(type) + "Content-Length: 2\r\n\r\n{}");
    };
    EXPECT_THAT(co_await ask("Content-Type: application/json\r\n"),
                AllOf(StartsWith("HTTP/1.1 415 "), HasSubstr("multipart/form-data")));
    EXPECT_THAT(co_await ask(""), StartsWith("HTTP/1.1 415 "));
    EXPECT_THAT(co_await ask("Content-Type: multipart/mixed; boundary=a\r\n"), StartsWith("HTTP/1.1 415 "));
    EXPECT_THAT(co_await ask("Content-Type: multipart/form-data\r\n"),
                AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("boundary")));
    // Nobody sends 700 MB that will not be taken.
    const auto client = co_await server.connect();
    co_await client->send(head("Content-Length: 734003200\r\nExpect: 100-continue\r\n"));
    EXPECT_THAT(co_await client->read_to_end(),
                AllOf(StartsWith("HTTP/1.1 413 "), HasSubstr("request_too_large")));
    co_await expect_nothing_left();
  };
  api_->run(body);
}

TEST_F(FormBody, LimitsHoldWhateverWasAnnounced) {
  api_.emplace(limited_.emplace(1000, 5000).serve(&take_form));
  const auto form_of = [](std::size_t size, std::size_t epilogue = 0) {
    return text_part("purpose", "one") + file_part("file", std::string(size, 'x')) + last_line +
           std::string(epilogue, 'x');
  };
  const TestApi::Body body = [&](TestServer& server) -> Task<void> {
    const std::vector<std::function<std::string(const std::string&)>> framings{
        [&](const std::string& form) { return sized(form); },
        [&](const std::string& form) { return chunked(form, 100); }};
    for (const auto& frame : framings) {
      EXPECT_THAT(co_await server.exchange(frame(form_of(1000))), StartsWith("HTTP/1.1 200 "));
      EXPECT_THAT(co_await server.exchange(frame(form_of(1001))),
                  AllOf(StartsWith("HTTP/1.1 413 "), HasSubstr(R"("param":"file")")));
      EXPECT_THAT(co_await server.exchange(frame(form_of(1000, 3000))), StartsWith("HTTP/1.1 200 "));
      EXPECT_THAT(co_await server.exchange(frame(form_of(1000, 5000))), StartsWith("HTTP/1.1 413 "));
    }
    co_await expect_nothing_left();
  };
  api_->run(body);
}

TEST_F(FormBody, TheHandlerFailsAndNothingIsLeft) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    const auto form = file_part("file", std::string(200'000, 'x')) + text_part("purpose", "one") +
                      text_part("strategy[type]", "broken") + last_line;
    EXPECT_THAT(co_await server.exchange(sized(form)), StartsWith("HTTP/1.1 409 "));
    co_await expect_nothing_left();
  };
  api_->run(body);
}

TEST_F(FormBody, OneConnectionCarriesSeveral) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    const auto client = co_await server.connect();
    for (const std::string& request :
         {sized(usual_form), chunked(usual_form, 9), sized(usual_form + "epilogue")}) {
      std::string kept = request;
      kept.replace(kept.find("Connection: close"), 17, "Connection: keep-alive");
      co_await client->send(kept);
      EXPECT_THAT(co_await client->read_reply(), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("}")));
    }
  };
  api_->run(body);
}

TEST_F(FormBody, AFullDiskIsAnswered507) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    const auto form =
        file_part("file", std::string(1'000'000, 'x')) + text_part("purpose", "two") + last_line;
    api_->services().files.room = 100'000;
    EXPECT_THAT(co_await server.exchange(sized(form)),
                AllOf(StartsWith("HTTP/1.1 507 "), HasSubstr(R"("code":"insufficient_storage")"),
                      HasSubstr(R"("type":"server_error")")));
    co_await expect_nothing_left();
    api_->services().files.room.reset();
    api_->services().files.fails_at = api_->services().files.steps() + 2;
    EXPECT_THAT(co_await server.exchange(sized(form)),
                AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr(R"("code":"storage_unavailable")")));
    co_await expect_nothing_left();
    EXPECT_THAT(co_await server.exchange(sized(form)), StartsWith("HTTP/1.1 200 "));
  };
  api_->run(body);
}

TEST_F(FormBody, ASlowSenderIsAnswered408) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    const auto client = co_await server.connect();
    const auto whole = sized(usual_form);
    co_await client->send(whole.substr(0, whole.size() - 78));  // inside the file
    EXPECT_THAT(co_await client->read_to_end(),
                AllOf(StartsWith("HTTP/1.1 408 "), HasSubstr(R"("code":"request_timeout")")));
    co_await expect_nothing_left();
  };
  api_->run(body, {.body_time = 100ms});
}

// Forms wait for memory as other bodies do, but for the same little whatever they hold.
TEST(FormMemory, DoesNotGrowWithTheForm) {
  TestApi api(fixture_api(&take_form), {.body_memory = 600 * 1024, .admission_patience = 50ms});
  const TestApi::Body body = [&api](TestServer& server) -> Task<void> {
    const auto begin = [&]() -> Task<std::unique_ptr<RawClient>> {
      auto client = co_await server.connect();
      co_await client->send(
          api.head(upload) +
          "Content-Type: multipart/form-data; boundary=XyZ\r\nContent-Length: 50000000\r\n\r\n" +
          file_part("file", "begun").substr(0, 100));
      co_return client;
    };
    const auto first = co_await begin();
    const auto second = co_await begin();
    co_await async::sleep_for(20ms);
    const auto third = co_await begin();
    EXPECT_THAT(co_await third->read_to_end(), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("overloaded")));
    first->close();
    co_await async::sleep_for(20ms);
    const auto form = usual_form;
    EXPECT_THAT(co_await server.exchange(
                    api.head(upload) + "Content-Type: multipart/form-data; boundary=XyZ\r\nContent-Length: " +
                    std::to_string(form.size()) + "\r\n\r\n" + form),
                StartsWith("HTTP/1.1 200 "));
    second->close();
  };
  api.run(body);
}

}  // namespace
}  // namespace hearth::api
