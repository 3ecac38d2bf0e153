// The clients that a TLS listener admits by their certificates. The layers above say which authorities count
// at the moment; here handshakes ask for a certificate and judge it, without a restart when that changes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "async/task.hpp"

struct ssl_ctx_st;
struct ssl_st;

namespace hearth::net {

// The certificate of an authority, or of one between it and its clients.
struct TrustAnchor {
  std::string id;  // of whoever made the list
  std::string pem;
  bool operator==(const TrustAnchor&) const = default;
};

// none: no certificate is asked for. optional: a client that shows one must be trusted; a client without
// one is admitted. required: every client must show one.
enum class ClientDemand { none, optional, required };

// An immutable list of anchors. Thread: any.
class ClientTrust {
 public:
  // Throws std::runtime_error when an anchor's text is no certificate.
  ClientTrust(std::vector<TrustAnchor> anchors, ClientDemand demand);
  ~ClientTrust();
  ClientTrust(const ClientTrust&) = delete;

  const std::vector<TrustAnchor>& anchors() const { return anchors_; }
  ClientDemand demand() const { return demand_; }
  // Lets a server's context judge by prepare(), once before its first connection.
  static void install(ssl_ctx_st* context);
  // Makes the handshake of a connection ask for a certificate and judge it; call it before the handshake.
  // Each such handshake is a full one: a resumed session would show no certificate. It must live until the
  // handshake has ended.
  void prepare(ssl_st* connection) const;

 private:
  friend class ClientCertificate;
  struct Stores;

  std::vector<TrustAnchor> anchors_;
  ClientDemand demand_;
  std::unique_ptr<Stores> stores_;
};

// The source from which listeners learn which clients to trust. Thread: any.
class ClientTrustSource {
 public:
  virtual ~ClientTrustSource() = default;
  // What holds now; asked at every handshake, never null. What it throws ends the handshake.
  virtual Task<std::shared_ptr<const ClientTrust>> current() = 0;
};

// What a client showed in the handshake: its own certificate and those between it and an anchor. Thread: the
// connection's.
class ClientCertificate {
 public:
  // Null when the client showed none.
  static std::unique_ptr<ClientCertificate> of(ssl_st* connection);
  ~ClientCertificate();
  ClientCertificate(const ClientCertificate&) = delete;

  // The ids of the anchors that it chains to at this moment, times of validity included. Remembered for a
  // second, as long as the trust is the same.
  const std::vector<std::string>& trusted_by(const std::shared_ptr<const ClientTrust>& trust);

 private:
  struct Chain;
  explicit ClientCertificate(std::unique_ptr<Chain> chain);

  std::unique_ptr<Chain> chain_;
};

}  // namespace hearth::net
