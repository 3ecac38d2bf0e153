// The rules for client certificates: which requests must come with one, and which certificates count.
//
// The certificates that are active for an organization are demanded of each of its requests; those that are
// active for a project, of requests with keys of that project. Where both are, a client may show one that
// chains to either. The handshake refuses what chains to no active certificate, and whoever shows none where
// every organization demands one; the rest is judged with the key, request by request, so that connections
// which were opened before a change are under it too. Plain TCP can show nothing and is refused where
// something is demanded. UNIX sockets belong to the machine's owner and stay open: the way back in for
// whoever has locked everybody out.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "contract/principal.hpp"
#include "net/client_trust.hpp"
#include "net/http.hpp"
#include "store/access_epoch.hpp"
#include "store/certificates.hpp"

namespace hearth::domain {

// Thread: any. Owned by app/. Changes of other processes hold as soon as the database shows them.
class ClientCertificates final : public net::ClientTrustSource {
 public:
  // Codes of check()'s errors: a connection that was refused so can never do better.
  static constexpr std::string_view missing = "client_certificate_required";
  static constexpr std::string_view untrusted = "client_certificate_untrusted";

  ClientCertificates(store::Certificates& certificates, store::AccessEpoch& epoch)
      : certificates_(certificates), epoch_(epoch) {}

  Task<std::shared_ptr<const net::ClientTrust>> current() override;

  // Throws ApiError 401 when the request's connection does not show what the principal's organization and
  // project demand. `epoch`: the access epoch.
  Task<void> check(const contract::Principal& principal, const net::RequestHead& head, std::uint64_t epoch);

 private:
  using Ids = std::set<std::string>;
  // What is active, as it was read under an access epoch.
  struct State {
    std::uint64_t epoch = 0;
    std::shared_ptr<const net::ClientTrust> trust;
    std::map<OrganizationId, Ids> organizations;
    std::map<ProjectId, Ids> projects;
  };

  // null: read() it.
  std::shared_ptr<const State> find(std::uint64_t epoch);
  Task<std::shared_ptr<const State>> read(std::uint64_t epoch);
  std::shared_ptr<const State> kept();

  store::Certificates& certificates_;
  store::AccessEpoch& epoch_;
  std::mutex mutex_;
  std::shared_ptr<const State> state_;  // guarded by mutex_; null at first
};

}  // namespace hearth::domain
