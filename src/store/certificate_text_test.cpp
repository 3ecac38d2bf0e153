#include "store/certificate_text.hpp"

#include <chrono>
#include <gmock/gmock.h>

#include "base/api_error.hpp"
#include "base/test_certificates.hpp"

namespace hearth::store {
namespace {

using hearth::testing::authority;
using hearth::testing::CertificateWish;
using hearth::testing::TestCertificate;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

UnixSeconds now() {
  return Clock().unix_now();
}

// The reason for the refusal; empty when the text was taken.
std::string refusal(const std::string& text) {
  try {
    read_certificate(text, now());
    return "";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    EXPECT_EQ(error.code(), "invalid_certificate");
    EXPECT_EQ(error.param(), "content");
    return error.message();
  }
}

std::string refusal(const CertificateWish& wish) {
  return refusal(TestCertificate(wish).pem());
}

TEST(CertificateText, ReadsWhatItIs) {
  const TestCertificate certificate(authority("Root"));
  const auto read = read_certificate("Subject: a note before\n" + certificate.pem() + "\n", now());
  EXPECT_EQ(read.content, certificate.pem());
  EXPECT_THAT(read.fingerprint, MatchesRegex("[0-9a-f]{64}"));
  EXPECT_NEAR(static_cast<double>(read.valid_at), static_cast<double>(now() - 60), 5);
  EXPECT_EQ(read.expires_at - read.valid_at, 3660);
  // The same certificate is the same however its text is laid out.
  std::string other_lines = certificate.pem();
  for (auto at = other_lines.find('\n'); at != std::string::npos; at = other_lines.find('\n', at + 2))
    other_lines.replace(at, 1, "\r\n");
  EXPECT_EQ(read_certificate(other_lines, now()).fingerprint, read.fingerprint);
  EXPECT_NE(read_certificate(TestCertificate(authority("Root")).pem(), now()).fingerprint, read.fingerprint);
}

TEST(CertificateText, WantsOneCertificateAndNothingElse) {
  const TestCertificate certificate(authority("Root"));
  EXPECT_THAT(refusal(std::string("hello")), HasSubstr("not a certificate in PEM form"));
  EXPECT_THAT(refusal(std::string()), HasSubstr("not a certificate in PEM form"));
  EXPECT_THAT(refusal(certificate.pem() + TestCertificate(authority("B")).pem()), HasSubstr("several"));
  EXPECT_THAT(refusal(certificate.pem() + certificate.key_pem()), HasSubstr("private key"));
  EXPECT_THAT(refusal(certificate.key_pem()), HasSubstr("private key"));
  EXPECT_THAT(refusal(std::string("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")),
              HasSubstr("'PUBLIC KEY'"));
  EXPECT_THAT(refusal(std::string("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
              HasSubstr("cannot be read"));
  EXPECT_THAT(refusal(std::string("-----BEGIN CERTIFICATE-----\n?!\n-----END CERTIFICATE-----\n")),
              HasSubstr("cannot be read"));
  EXPECT_THAT(refusal(certificate.pem().substr(0, 200)), HasSubstr("cannot be read"));
  EXPECT_THAT(refusal(certificate.pem() + certificate.pem().substr(0, 200)), HasSubstr("cannot be read"));
}

TEST(CertificateText, WantsAnAuthorityOfToday) {
  EXPECT_THAT(refusal(CertificateWish{}), HasSubstr("CA:TRUE"));
  EXPECT_THAT(refusal(CertificateWish{.constraints = ""}), HasSubstr("CA:TRUE"));
  CertificateWish wish = authority("Root");
  wish.valid_from = -7200;
  wish.valid_until = -3600;
  EXPECT_THAT(refusal(wish), HasSubstr("expired"));
  wish.valid_from = 3600;
  wish.valid_until = 7200;
  EXPECT_EQ(refusal(wish), "");  // its day will come
  wish.rsa_bits = 1024;
  EXPECT_THAT(refusal(wish), HasSubstr("too weak"));
  wish.rsa_bits = 2048;
  EXPECT_EQ(refusal(wish), "");
}

}  // namespace
}  // namespace hearth::store
