#include "net/client_trust.hpp"

#include <chrono>
#include <stdexcept>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

namespace hearth::net {
namespace {

using std::chrono::steady_clock;

using Certificate = std::unique_ptr<X509, decltype([](X509* certificate) { X509_free(certificate); })>;
using Certificates =
    std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * all) { sk_X509_pop_free(all, X509_free); })>;
using Names =
    std::unique_ptr<STACK_OF(X509_NAME),
                    decltype([](STACK_OF(X509_NAME) * all) { sk_X509_NAME_pop_free(all, X509_NAME_free); })>;
using Store = std::unique_ptr<X509_STORE, decltype([](X509_STORE* store) { X509_STORE_free(store); })>;

constexpr auto verdict_life = std::chrono::seconds(1);
// Sessions of connections that were asked for a certificate are kept apart from all others.
constexpr std::string_view session_context = "hearth, client certificates";

template <class Pointer>
Pointer made(Pointer pointer) {
  if (!pointer) throw std::bad_alloc();
  return pointer;
}

Certificate parse(const TrustAnchor& anchor) {
  const std::unique_ptr<BIO, decltype([](BIO* bio) { BIO_free(bio); })> bio(
      BIO_new_mem_buf(anchor.pem.data(), static_cast<int>(anchor.pem.size())));
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!certificate) throw std::runtime_error("the certificate " + anchor.id + " cannot be read");
  return certificate;
}

// A store of one certificate that is trusted for itself, whoever signed it: an authority in the middle of a
// chain can be an anchor too. One each, because OpenSSL does not look at a second one of the same name.
Store make_store(const Certificate& certificate) {
  Store store = made(Store(X509_STORE_new()));
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  if (X509_STORE_add_cert(store.get(), certificate.get()) != 1) throw std::bad_alloc();
  return store;
}

// X509_V_OK or why `own` does not chain to the store's certificate by `others`. Keys and signatures below the
// security level of the connection do not count.
int judge(X509_STORE* store, X509* own, STACK_OF(X509) * others, int security_level) {
  using Context =
      std::unique_ptr<X509_STORE_CTX, decltype([](X509_STORE_CTX* c) { X509_STORE_CTX_free(c); })>;
  const Context context(X509_STORE_CTX_new());
  if (!context || X509_STORE_CTX_init(context.get(), store, own, others) != 1) return X509_V_ERR_OUT_OF_MEM;
  X509_STORE_CTX_set_default(context.get(), "ssl_client");
  X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(context.get()), security_level);
  const bool trusted = X509_verify_cert(context.get()) == 1;
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  if (trusted) return X509_V_OK;
  return error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error;
}

// Where a connection keeps its ClientTrust during the handshake.
int trust_slot() {
  static const int slot = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return slot;
}

}  // namespace

struct ClientTrust::Stores {
  std::vector<Store> single;  // one for each anchor, in their order
  Names names;                // a hint for clients that have several certificates

  // OpenSSL's callback, instead of its own judgement: 1 when the presented chain leads to an anchor.
  static int judge_handshake(X509_STORE_CTX* context, void*) {
    auto* connection =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
    const auto* trust = static_cast<const ClientTrust*>(SSL_get_ex_data(connection, trust_slot()));
    int error = X509_V_ERR_CERT_UNTRUSTED;
    for (const Store& store : trust->stores_->single) {
      error = judge(store.get(), X509_STORE_CTX_get0_cert(context), X509_STORE_CTX_get0_untrusted(context),
                    SSL_get_security_level(connection));
      if (error == X509_V_OK) break;
    }
    X509_STORE_CTX_set_error(context, error);
    return error == X509_V_OK ? 1 : 0;
  }
};

ClientTrust::ClientTrust(std::vector<TrustAnchor> anchors, ClientDemand demand)
    : anchors_(std::move(anchors)), demand_(demand), stores_(std::make_unique<Stores>()) {
  stores_->names = made(Names(sk_X509_NAME_new_null()));
  for (const TrustAnchor& anchor : anchors_) {
    const Certificate certificate = parse(anchor);
    stores_->single.push_back(make_store(certificate));
    X509_NAME* name = X509_NAME_dup(X509_get_subject_name(certificate.get()));
    if (name == nullptr || sk_X509_NAME_push(stores_->names.get(), name) == 0) {
      X509_NAME_free(name);
      throw std::bad_alloc();
    }
  }
}

ClientTrust::~ClientTrust() = default;

void ClientTrust::install(ssl_ctx_st* context) {
  SSL_CTX_set_cert_verify_callback(context, Stores::judge_handshake, nullptr);
}

void ClientTrust::prepare(ssl_st* connection) const {
  if (demand_ == ClientDemand::none) return;
  const int enforced = demand_ == ClientDemand::required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  SSL_set_verify(connection, SSL_VERIFY_PEER | enforced, nullptr);
  SSL_set_options(connection, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_set_num_tickets(connection, 0);
  SSL_set_session_id_context(connection, reinterpret_cast<const unsigned char*>(session_context.data()),
                             session_context.size());
  STACK_OF(X509_NAME)* names = SSL_dup_CA_list(stores_->names.get());
  if (names == nullptr || SSL_set_ex_data(connection, trust_slot(), const_cast<ClientTrust*>(this)) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    throw std::bad_alloc();
  }
  SSL_set_client_CA_list(connection, names);  // owns them from here on
}

struct ClientCertificate::Chain {
  Certificate own;
  Certificates others;
  int security_level = 0;  // of the handshake

  std::shared_ptr<const ClientTrust> judged_by;
  steady_clock::time_point judged_at;
  std::vector<std::string> verdict;
};

std::unique_ptr<ClientCertificate> ClientCertificate::of(ssl_st* connection) {
  Certificate own(SSL_get1_peer_certificate(connection));
  if (!own) return nullptr;
  auto chain = std::make_unique<Chain>();
  chain->own = std::move(own);
  if (STACK_OF(X509)* others = SSL_get_peer_cert_chain(connection))
    chain->others = made(Certificates(X509_chain_up_ref(others)));
  chain->security_level = SSL_get_security_level(connection);
  return std::unique_ptr<ClientCertificate>(new ClientCertificate(std::move(chain)));
}

ClientCertificate::ClientCertificate(std::unique_ptr<Chain> chain) : chain_(std::move(chain)) {}
ClientCertificate::~ClientCertificate() = default;

const std::vector<std::string>& ClientCertificate::trusted_by(
    const std::shared_ptr<const ClientTrust>& trust) {
  const auto now = steady_clock::now();
  if (chain_->judged_by == trust && now < chain_->judged_at + verdict_life) return chain_->verdict;
  std::vector<std::string> verdict;
  for (std::size_t i = 0; i < trust->anchors_.size(); ++i) {
    const int error = judge(trust->stores_->single[i].get(), chain_->own.get(), chain_->others.get(),
                            chain_->security_level);
    if (error == X509_V_OK) verdict.push_back(trust->anchors_[i].id);
  }
  chain_->verdict = std::move(verdict);
  chain_->judged_by = trust;
  chain_->judged_at = now;
  return chain_->verdict;
}

}  // namespace hearth::net
