#include "domain/client_certificates.hpp"

#include <vector>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/log.hpp"

namespace hearth::domain {
namespace {

constexpr std::string_view unix_client = "unix";  // RequestHead::remote_address of UNIX sockets

}  // namespace

std::shared_ptr<const ClientCertificates::State> ClientCertificates::kept() {
  const std::lock_guard lock(mutex_);
  return state_;
}

// Without a coroutine where nothing has changed: every request asks.
std::shared_ptr<const ClientCertificates::State> ClientCertificates::find(std::uint64_t epoch) {
  auto state = kept();
  return state && state->epoch == epoch ? state : nullptr;
}

Task<std::shared_ptr<const ClientCertificates::State>> ClientCertificates::read(std::uint64_t epoch) {
  const auto before = kept();
  if (before && before->epoch == epoch) co_return before;
  store::ActiveCertificates active = co_await certificates_.read_active();

  auto fresh = std::make_shared<State>();
  fresh->epoch = epoch;
  std::vector<net::TrustAnchor> anchors;
  for (store::ActiveCertificate& certificate : active.certificates) {
    const std::string& id = certificate.id.str();
    if (certificate.for_organization) fresh->organizations[certificate.organization].insert(id);
    for (const ProjectId& project : certificate.projects)
      fresh->projects[project].insert(id);
    anchors.push_back({id, std::move(certificate.content)});
  }
  const bool everywhere = fresh->organizations.size() == active.organizations;
  const net::ClientDemand demand = anchors.empty() ? net::ClientDemand::none
                                   : everywhere    ? net::ClientDemand::required
                                                   : net::ClientDemand::optional;
  // Most changes are about other things: then the parsed certificates and all verdicts stay.
  const bool same = before && before->trust->demand() == demand && before->trust->anchors() == anchors;
  if (same) {
    fresh->trust = before->trust;
  } else {
    log::info("client certificates",
              {{"active", anchors.size()}, {"demanded", demand == net::ClientDemand::required}});
    fresh->trust = std::make_shared<net::ClientTrust>(std::move(anchors), demand);
  }
  const std::lock_guard lock(mutex_);
  if (!state_ || state_->epoch < epoch) state_ = fresh;
  co_return fresh;
}

Task<std::shared_ptr<const net::ClientTrust>> ClientCertificates::current() {
  const std::uint64_t epoch = co_await epoch_.current();  // before what it stands for
  auto now = find(epoch);
  if (!now) now = co_await read(epoch);
  co_return now->trust;
}

Task<void> ClientCertificates::check(const contract::Principal& principal, const net::RequestHead& head,
                                     std::uint64_t epoch) {
  auto now = find(epoch);
  if (!now) now = co_await read(epoch);
  if (now->trust->anchors().empty() || head.remote_address == unix_client) co_return;
  const auto organization = now->organizations.find(principal.organization);
  const auto project = principal.project ? now->projects.find(*principal.project) : now->projects.end();
  const bool by_organization = organization != now->organizations.end();
  const bool by_project = project != now->projects.end();
  if (!by_organization && !by_project) co_return;

  const std::string_view who = by_organization ? "organization" : "project";
  if (!head.client_certificate) {
    throw ApiError::unauthenticated(
        missing,
        fmt::format("The {} of this API key demands a client certificate, and this connection showed "
                    "none: connect over TLS with one.",
                    who));
  }
  for (const std::string& id : head.client_certificate->trusted_by(now->trust)) {
    if (by_organization && organization->second.contains(id)) co_return;
    if (by_project && project->second.contains(id)) co_return;
  }
  throw ApiError::unauthenticated(
      untrusted,
      fmt::format("The client certificate of this connection does not chain to one that is active for the {} "
                  "of this API key.",
                  who));
}

}  // namespace hearth::domain
