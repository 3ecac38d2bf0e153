// TLS with certificates made here: nothing but OpenSSL is needed.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <memory>
#include <unistd.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ssl/context.hpp>
#include <gtest/gtest.h>

#include "base/test_certificates.hpp"
#include "net/test_socket.hpp"

namespace hearth::net {
namespace {

using hearth::testing::authority;
using hearth::testing::TestCertificate;
using testing::echo;
using ::testing::EndsWith;
using testing::RawClient;
using testing::TestServer;
using namespace std::chrono_literals;

// A self-signed certificate for "localhost" in files that die with it.
class Certificate {
 public:
  Certificate()
      : directory_(std::filesystem::temp_directory_path() / ("hearth_tls_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(directory_);
    const TestCertificate made({.constraints = "CA:TRUE", .alternative_name = "DNS:localhost"});
    std::ofstream(options().key_file) << made.key_pem();
    std::ofstream(options().certificate_file) << made.pem();
  }
  ~Certificate() { std::filesystem::remove_all(directory_); }

  TlsOptions options() const { return {directory_ / "certificate.pem", directory_ / "key.pem"}; }

 private:
  std::filesystem::path directory_;
};

Origin https(const TestServer& test, std::string host) {
  return {"https", std::move(host), test.origin().port};
}

TEST(Tls, ServesAndVerifies) {
  const Certificate certificate;
  ::setenv("SSL_CERT_FILE", certificate.options().certificate_file.c_str(), 1);
  const auto handle = [](const RequestHead& head, BodyReader& body, ResponseWriter& response) -> Task<void> {
    EXPECT_TRUE(head.secure);
    if (head.path() != "/stream") {
      co_await echo(head, body, response);
      co_return;
    }
    co_await response.begin(testing::ok());
    for (int i = 0; i < 100; ++i)
      co_await response.write(std::string(1000, 'x'));
    co_await response.end();
  };
  TestServer::run(handle,
                  [](TestServer& test) -> Task<void> {
                    HttpClient client(https(test, "localhost"), {});
                    const std::string large(1'000'000, 'y');
                    for (const auto& body : {std::string("small"), large, std::string()}) {
                      ClientRequest request;
                      request.body = body;
                      auto reply = co_await client.send(std::move(request));
                      EXPECT_EQ(co_await reply->read_all(2'000'000), "POST / " + body);
                    }
                    ClientRequest stream;
                    stream.target = "/stream";
                    auto reply = co_await client.send(std::move(stream));
                    EXPECT_EQ(co_await reply->read_all(200'000), std::string(100'000, 'x'));
                    EXPECT_EQ(test.server().statistics().accepted, 1u);
                    // The certificate is for another name.
                    HttpClient stranger(https(test, "127.0.0.1"), {});
                    EXPECT_THROW(co_await stranger.send({}), ClientError);
                  },
                  {}, 2, {{"127.0.0.1:0", certificate.options()}});
  ::unsetenv("SSL_CERT_FILE");
  TestServer::run(handle,
                  [](TestServer& test) -> Task<void> {
                    HttpClient distrustful(https(test, "localhost"), {});
                    EXPECT_THROW(co_await distrustful.send({}), ClientError);
                  },
                  {}, 1, {{"127.0.0.1:0", certificate.options()}});
}

TEST(Tls, CarriesWebSockets) {
  const Certificate certificate;
  TestServer::run(testing::SocketServer::talk(testing::SocketServer::echo),
                  [&certificate](TestServer& test) -> Task<void> {
                    boost::asio::ssl::context context(boost::asio::ssl::context::tls_client);
                    context.load_verify_file(certificate.options().certificate_file);
                    auto raw = co_await test.connect();
                    const auto failed = co_await raw->stream().connect_tls(
                        context, "localhost", std::chrono::steady_clock::now() + 5s);
                    EXPECT_FALSE(failed) << failed.message();
                    auto client = co_await testing::SocketClient::open(std::move(raw));
                    for (const std::size_t size : {5, 70'000, 900'000}) {
                      const std::string text(size, 't');
                      co_await client.say(text);
                      EXPECT_EQ((co_await client.read_text()).size(), size);
                    }
                    co_await client.send(testing::close_frame(1000));
                    EXPECT_EQ(co_await client.read_close(), 1000);
                  },
                  {}, 1, {{"127.0.0.1:0", certificate.options()}});
}

TEST(Tls, CutsWhoDoesNotShakeHands) {
  const Certificate certificate;
  ServerLimits limits;
  limits.header_time = 100ms;
  TestServer::run(echo,
                  [](TestServer& test) -> Task<void> {
                    auto silent = co_await test.connect();
                    EXPECT_EQ(co_await silent->read_to_end(), "");
                    auto plain = co_await test.connect();
                    co_await plain->send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
                    co_await plain->read_to_end();
                    for (int i = 0; i < 100 && test.server().statistics().open_connections > 0; ++i)
                      co_await async::sleep_for(5ms);
                    EXPECT_EQ(test.server().statistics().open_connections, 0u);
                  },
                  limits, 1, {{"127.0.0.1:0", certificate.options()}});
}

TEST(Tls, NoticesClientsThatLeaveAndKeepsWhatTheySent) {
  const Certificate certificate;
  int left = 0;
  const auto handle = [&left](const RequestHead& head, BodyReader& body,
                              ResponseWriter& response) -> Task<void> {
    using namespace boost::asio::experimental::awaitable_operators;
    const auto outcome = co_await (async::sleep_for(head.path() == "/long" ? 5s : 30ms) || response.closed());
    if (outcome.index() == 1) {
      ++left;
      co_return;
    }
    co_await echo(head, body, response);
  };
  TestServer::run(handle,
                  [&left, &certificate](TestServer& test) -> Task<void> {
                    boost::asio::ssl::context context(boost::asio::ssl::context::tls_client);
                    context.load_verify_file(certificate.options().certificate_file);
                    auto client = co_await test.connect();
                    const auto failed = co_await client->stream().connect_tls(
                        context, "localhost", std::chrono::steady_clock::now() + 5s);
                    EXPECT_FALSE(failed) << failed.message();
                    co_await client->send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n");
                    co_await async::sleep_for(10ms);
                    co_await client->send("GET /2 HTTP/1.1\r\nHost: t\r\n\r\n");
                    EXPECT_THAT(co_await client->read_reply(), EndsWith("GET /1 "));
                    EXPECT_THAT(co_await client->read_reply(), EndsWith("GET /2 "));
                    co_await client->send("GET /long HTTP/1.1\r\nHost: t\r\n\r\n");
                    co_await async::sleep_for(20ms);
                    client->close();
                    for (int i = 0; i < 100 && left == 0; ++i)
                      co_await async::sleep_for(5ms);
                    EXPECT_EQ(left, 1);
                  },
                  {}, 1, {{"127.0.0.1:0", certificate.options()}});
}

// A trust that can be changed while the server runs.
class ChangingTrust final : public ClientTrustSource {
 public:
  void set(std::vector<TrustAnchor> anchors, ClientDemand demand) {
    trust_ = std::make_shared<ClientTrust>(std::move(anchors), demand);
  }
  Task<std::shared_ptr<const ClientTrust>> current() override { co_return trust_; }
  std::shared_ptr<const ClientTrust> now() const { return trust_; }

 private:
  std::shared_ptr<const ClientTrust> trust_ = std::make_shared<ClientTrust>(
      std::vector<TrustAnchor>(), ClientDemand::none);  // changed between requests only
};

// The certificate that a client shows.
struct Identity {
  const TestCertificate* own = nullptr;
  std::string others;  // PEM
};

class DemandingServer {
 public:
  using Body = std::function<Task<void>(DemandingServer&)>;

  // `body` runs beside a server whose replies say which anchors trust the connection's certificate.
  void run(Body body) {
    const auto handle = [this](const RequestHead& head, BodyReader&, ResponseWriter& response) -> Task<void> {
      std::string shown = head.client_certificate ? "shown" : "none";
      if (head.client_certificate) {
        for (const std::string& id : head.client_certificate->trusted_by(trust.now()))
          shown += " " + id;
      }
      co_await response.send(testing::ok(), shown);
    };
    TestServer::run(
        handle,
        [this, &body](TestServer& server) -> Task<void> {
          server_ = &server;
          co_await body(*this);
        },
        {}, 1, {{"127.0.0.1:0", certificate_.options()}}, &trust);
  }

  Task<std::unique_ptr<RawClient>> connect(Identity identity, int version = TLS1_3_VERSION) {
    boost::asio::ssl::context context(boost::asio::ssl::context::tls_client);
    context.load_verify_file(certificate_.options().certificate_file);
    SSL_CTX_set_min_proto_version(context.native_handle(), version);
    SSL_CTX_set_max_proto_version(context.native_handle(), version);
    if (identity.own) {
      const std::string chain = identity.own->pem() + identity.others;
      const std::string key = identity.own->key_pem();
      context.use_certificate_chain(boost::asio::buffer(chain));
      context.use_private_key(boost::asio::buffer(key), boost::asio::ssl::context::pem);
    }
    auto client = co_await server_->connect();
    // With TLS 1.3 the client's handshake has ended before the server has judged.
    last_handshake_ =
        co_await client->stream().connect_tls(context, "localhost", std::chrono::steady_clock::now() + 5s);
    co_return client;
  }
  // What the server says to a request on `client`; "refused" when it says nothing.
  Task<std::string> ask(RawClient& client) {
    if (last_handshake_) co_return "refused";
    co_await client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    const std::string reply = co_await client.read_reply();
    const auto body = reply.find("\r\n\r\n");
    co_return body == std::string::npos ? "refused" : reply.substr(body + 4);
  }
  Task<std::string> ask(Identity identity, int version = TLS1_3_VERSION) {
    auto client = co_await connect(std::move(identity), version);
    co_return co_await ask(*client);
  }

  ChangingTrust trust;

 private:
  const Certificate certificate_;
  TestServer* server_ = nullptr;
  ErrorCode last_handshake_;
};

TEST(ClientTrust, AsksNobodyUntilSomethingIsActive) {
  DemandingServer().run([](DemandingServer& server) -> Task<void> {
    const TestCertificate anyone({.name = "client"});
    EXPECT_EQ(co_await server.ask(Identity{}), "none");
    EXPECT_EQ(co_await server.ask(Identity{&anyone}), "none");
  });
}

TEST(ClientTrust, LetsInWhoChainsToAnAnchorAndNobodyElse) {
  DemandingServer().run([](DemandingServer& server) -> Task<void> {
    const TestCertificate root(authority("Root"));
    const TestCertificate middle(authority("Middle"), &root);
    const TestCertificate other(authority("Other"));
    const TestCertificate twin(authority("Root"));  // of the same name, with another key
    const TestCertificate client({.name = "client"}, &root);
    const TestCertificate below({.name = "below"}, &middle);
    const TestCertificate stranger({.name = "stranger"}, &other);
    const TestCertificate impostor({.name = "impostor"}, &twin);
    const TestCertificate expired({.name = "expired", .valid_from = -7200, .valid_until = -3600}, &root);
    const TestCertificate early({.name = "early", .valid_from = 3600, .valid_until = 7200}, &root);
    const TestCertificate alone({.name = "alone"});
    const Identity refused[] = {{&stranger}, {&stranger, other.pem()}, {&impostor}, {&expired}, {&early},
                                {&alone},    {&below, other.pem()},    {&below}};
    for (const ClientDemand demand : {ClientDemand::required, ClientDemand::optional}) {
      server.trust.set({{"root", root.pem()}}, demand);
      for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        EXPECT_EQ(co_await server.ask(Identity{&client}, version), "shown root");
        EXPECT_EQ(co_await server.ask(Identity{&below, middle.pem()}, version), "shown root");
        EXPECT_EQ(co_await server.ask(Identity{}, version),
                  demand == ClientDemand::required ? "refused" : "none");
        for (const Identity& identity : refused)
          EXPECT_EQ(co_await server.ask(identity, version), "refused");
      }
    }
    // An authority in the middle is an anchor too, and so are several at once.
    server.trust.set({{"middle", middle.pem()}}, ClientDemand::required);
    EXPECT_EQ(co_await server.ask(Identity{&below}), "shown middle");
    EXPECT_EQ(co_await server.ask(Identity{&client}), "refused");
    server.trust.set({{"root", root.pem()}, {"middle", middle.pem()}, {"twin", twin.pem()}},
                     ClientDemand::required);
    EXPECT_EQ(co_await server.ask(Identity{&below}), "shown middle");
    EXPECT_EQ(co_await server.ask(Identity{&below, middle.pem()}), "shown root middle");
    EXPECT_EQ(co_await server.ask(Identity{&impostor}), "shown twin");
  });
}

TEST(ClientTrust, JudgesKeptConnectionsAnew) {
  DemandingServer().run([](DemandingServer& server) -> Task<void> {
    const TestCertificate root(authority("Root"));
    const TestCertificate other(authority("Other"));
    const TestCertificate client({.name = "client"}, &root);
    auto before = co_await server.connect(Identity{&client});
    EXPECT_EQ(co_await server.ask(*before), "none");
    server.trust.set({{"root", root.pem()}}, ClientDemand::required);
    EXPECT_EQ(co_await server.ask(*before), "none") << "it was not asked in its handshake";
    auto kept = co_await server.connect(Identity{&client});
    EXPECT_EQ(co_await server.ask(*kept), "shown root");
    server.trust.set({{"other", other.pem()}}, ClientDemand::required);
    EXPECT_EQ(co_await server.ask(*kept), "shown");
    server.trust.set({{"other", other.pem()}, {"root", root.pem()}}, ClientDemand::required);
    EXPECT_EQ(co_await server.ask(*kept), "shown root");
    // The certificate expires while the client is connected.
    const TestCertificate brief({.name = "brief", .valid_until = 2}, &root);
    auto ending = co_await server.connect(Identity{&brief});
    EXPECT_EQ(co_await server.ask(*ending), "shown root");
    co_await async::sleep_for(3500ms);
    EXPECT_EQ(co_await server.ask(*ending), "shown");
  });
}

TEST(ClientTrust, RefusesAnchorsThatAreNoCertificates) {
  EXPECT_THROW(ClientTrust({{"bad", "no certificate"}}, ClientDemand::required), std::runtime_error);
}

}  // namespace
}  // namespace hearth::net
