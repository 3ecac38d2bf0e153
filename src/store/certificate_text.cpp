#include "store/certificate_text.hpp"

#include <array>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/api_error.hpp"

namespace hearth::store {
namespace {

using Bio = std::unique_ptr<BIO, decltype([](BIO* bio) { BIO_free(bio); })>;
using Parsed = std::unique_ptr<X509, decltype([](X509* certificate) { X509_free(certificate); })>;
using Bytes = std::vector<unsigned char>;

constexpr int weakest_key = 112;  // bits of security: RSA with 2048 bits, what TLS accepts by default
constexpr int plain_ca = 1;       // of X509_check_ca: version 3, and a CA by its basicConstraints

struct Unfit {
  std::string reason;
};

[[noreturn]] void refuse(std::string reason) {
  throw Unfit{std::move(reason)};
}

// The DER of the text's only block.
Bytes read_only_block(std::string_view pem) {
  if (pem.find("PRIVATE KEY-----") != std::string_view::npos) {
    refuse("The text holds a private key. Keep it to yourself, and send the certificate alone.");
  }
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Bytes found;
  for (;;) {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    ERR_clear_error();
    if (PEM_read_bio(bio.get(), &name, &header, &data, &size) != 1) break;
    const std::string_view kind(name);
    const bool is_certificate = kind == PEM_STRING_X509;
    const Bytes block(data, data + size);
    const std::string shown(kind.substr(0, 64));
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    if (!is_certificate) refuse(fmt::format("The text holds a PEM block '{}'; give one certificate.", shown));
    if (!found.empty()) refuse("The text holds several certificates; add each of them by itself.");
    found = block;
  }
  // That no further block begins is how a good text ends.
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) refuse("The text's PEM block cannot be read.");
  if (found.empty()) refuse("The text is not a certificate in PEM form (-----BEGIN CERTIFICATE-----).");
  return found;
}

UnixSeconds seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) refuse("The certificate's time of validity cannot be read.");
  return ::timegm(&parts);
}

std::string write_pem(X509& certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  char* text = nullptr;
  if (PEM_write_bio_X509(bio.get(), &certificate) != 1) refuse("The certificate cannot be read.");
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

std::string fingerprint_of(std::span<const unsigned char> der) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(der.data(), der.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    throw ApiError::internal();
  return fmt::format("{:02x}", fmt::join(std::span(digest).first(size), ""));
}

CertificateText read(std::string_view pem, UnixSeconds now) {
  const Bytes der = read_only_block(pem);
  const unsigned char* at = der.data();
  const Parsed certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!certificate || at != der.data() + der.size()) refuse("The certificate cannot be read.");
  const EVP_PKEY* key = X509_get0_pubkey(certificate.get());
  const bool is_broken = (X509_get_extension_flags(certificate.get()) & EXFLAG_INVALID) != 0;
  ERR_clear_error();
  if (key == nullptr || is_broken) refuse("The certificate's key or one of its extensions cannot be read.");
  if (X509_check_ca(certificate.get()) != plain_ca) {
    refuse(
        "The certificate is not one of a certificate authority (basicConstraints CA:TRUE): clients show "
        "certificates that it has signed.");
  }
  if (EVP_PKEY_get_security_bits(key) < weakest_key)
    refuse("The certificate's key is too weak: RSA keys need 2048 bits.");
  CertificateText text{.content = write_pem(*certificate),
                       .fingerprint = fingerprint_of(der),
                       .valid_at = seconds_of(X509_get0_notBefore(certificate.get())),
                       .expires_at = seconds_of(X509_get0_notAfter(certificate.get()))};
  if (text.expires_at <= now) refuse("The certificate has expired.");
  return text;
}

}  // namespace

CertificateText read_certificate(std::string_view pem, UnixSeconds now, std::string_view param) {
  try {
    CertificateText text = read(pem, now);
    text.param = param;
    return text;
  } catch (Unfit& unfit) {
    throw ApiError::invalid_request("invalid_certificate", std::move(unfit.reason), std::string(param));
  }
}

}  // namespace hearth::store
