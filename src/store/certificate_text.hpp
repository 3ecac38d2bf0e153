// The text of a certificate as clients hand it in: read, checked, and written as it is kept.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace hearth::store {

struct CertificateText {
  std::string content;      // the one PEM block, nothing around it
  std::string fingerprint;  // SHA-256 of its DER, in hexadecimal digits
  UnixSeconds valid_at = 0;
  UnixSeconds expires_at = 0;
  std::string param = "content";  // the name under which the client sent it, for errors
};

// Throws ApiError 400 invalid_certificate with that param and the reason: no PEM, more than one block, a
// private key, unreadable, not the certificate of a CA (basicConstraints CA:TRUE; client certificates must
// chain to it), too weak a key, expired at `now`. One that is not valid yet is taken: it may be there before
// the day of the change. Thread: any.
CertificateText read_certificate(std::string_view pem, UnixSeconds now, std::string_view param = "content");

}  // namespace hearth::store
