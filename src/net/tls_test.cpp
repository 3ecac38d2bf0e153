// TLS with certificates made here: nothing but OpenSSL is needed.
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <memory>
#include <unistd.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ssl/context.hpp>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/test_server.hpp"

namespace hearth::net {
namespace {

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
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
    X509_set_version(certificate.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    auto* name = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                               -1, -1, 0);
    X509_set_issuer_name(certificate.get(), name);
    for (const auto& [id, value] :
         {std::pair{NID_subject_alt_name, "DNS:localhost"}, {NID_basic_constraints, "CA:TRUE"}}) {
      const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
          X509V3_EXT_conf_nid(nullptr, nullptr, id, value), X509_EXTENSION_free);
      X509_add_ext(certificate.get(), extension.get(), -1);
    }
    X509_sign(certificate.get(), key.get(), EVP_sha256());
    write(options().key_file, [&](std::FILE* file) {
      return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    write(options().certificate_file,
          [&](std::FILE* file) { return PEM_write_X509(file, certificate.get()); });
  }
  ~Certificate() { std::filesystem::remove_all(directory_); }

  TlsOptions options() const { return {directory_ / "certificate.pem", directory_ / "key.pem"}; }

 private:
  template <class Write>
  void write(const std::string& path, Write write_to) {
    const std::unique_ptr<std::FILE, decltype(&std::fclose)> file(std::fopen(path.c_str(), "w"), std::fclose);
    ASSERT_TRUE(file && write_to(file.get()) == 1);
  }
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

}  // namespace
}  // namespace hearth::net
