#include "store/keyed_hash.hpp"

#include <memory>
#include <stdexcept>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

namespace hearth::store {
namespace {

using Context = std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)>;

Context make_context(std::size_t digest_size) {
  const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> algorithm(
      EVP_MAC_fetch(nullptr, "SIPHASH", nullptr), &EVP_MAC_free);
  Context context(algorithm ? EVP_MAC_CTX_new(algorithm.get()) : nullptr, &EVP_MAC_CTX_free);
  const std::array parameters{OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &digest_size),
                              OSSL_PARAM_construct_end()};
  if (!context || EVP_MAC_CTX_set_params(context.get(), parameters.data()) != 1)
    throw std::runtime_error("OpenSSL offers no SipHash");
  return context;
}

}  // namespace

KeyedHash::KeyedHash() {
  if (RAND_bytes(key_.data(), static_cast<int>(key_.size())) != 1)
    throw std::runtime_error("the system's random generator failed");
}

KeyedHash::Digest KeyedHash::operator()(std::string_view bytes) const {
  Digest digest{};
  thread_local const Context context = make_context(digest.size());  // making one costs more than a digest
  std::size_t size = 0;
  const bool done = EVP_MAC_init(context.get(), key_.data(), key_.size(), nullptr) == 1 &&
                    EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(bytes.data()),
                                   bytes.size()) == 1 &&
                    EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                                  digest.size()) == 1;
  if (!done || size != digest.size()) throw std::runtime_error("SipHash failed");
  return digest;
}

}  // namespace hearth::store
