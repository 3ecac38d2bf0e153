// For tests: certificates made on the spot, with OpenSSL and nothing else.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

namespace hearth::testing {

struct CertificateWish {
  std::string name = "localhost";
  std::string constraints = "critical,CA:FALSE";
  std::string alternative_name;  // "DNS:localhost"
  long valid_from = -60;         // seconds from now
  long valid_until = 3600;
  unsigned rsa_bits = 0;  // an elliptic key when 0
};

inline CertificateWish authority(std::string name) {
  return {.name = std::move(name), .constraints = "critical,CA:TRUE"};
}

class TestCertificate {
 public:
  // Signed by `issuer`, by itself without one.
  explicit TestCertificate(const CertificateWish& wish, const TestCertificate* issuer = nullptr)
      : key_(wish.rsa_bits > 0 ? EVP_RSA_gen(wish.rsa_bits) : EVP_EC_gen("P-256")), certificate_(X509_new()) {
    static long serial = 0;
    X509* made = certificate_.get();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made), wish.valid_from);
    X509_gmtime_adj(X509_getm_notAfter(made), wish.valid_until);
    X509_set_pubkey(made, key_.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.name.c_str()), -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(issuer ? issuer->certificate_.get() : made));
    if (!wish.constraints.empty()) add(NID_basic_constraints, wish.constraints);
    if (!wish.alternative_name.empty()) add(NID_subject_alt_name, wish.alternative_name);
    EXPECT_GT(X509_sign(made, (issuer ? issuer : this)->key_.get(), EVP_sha256()), 0);
  }

  std::string pem() const {
    return write([this](BIO* bio) { return PEM_write_bio_X509(bio, certificate_.get()); });
  }
  std::string key_pem() const {
    return write([this](BIO* bio) {
      return PEM_write_bio_PrivateKey(bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }

 private:
  void add(int id, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str()), X509_EXTENSION_free);
    EXPECT_EQ(X509_add_ext(certificate_.get(), extension.get(), -1), 1);
  }
  template <class Write>
  static std::string write(Write write_to) {
    const std::unique_ptr<BIO, decltype([](BIO* bio) { BIO_free(bio); })> bio(BIO_new(BIO_s_mem()));
    EXPECT_EQ(write_to(bio.get()), 1);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
  }

  std::unique_ptr<EVP_PKEY, decltype([](EVP_PKEY* key) { EVP_PKEY_free(key); })> key_;
  std::unique_ptr<X509, decltype([](X509* certificate) { X509_free(certificate); })> certificate_;
};

}  // namespace hearth::testing
