// The certificates of authorities whose clients the server lets in: added, named, made active for the whole
// organization or for a project.
//
// Every change writes its audit event in the same transaction. Changes of one organization happen one after
// the other, whatever process makes them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"
#include "store/audit_logs.hpp"
#include "store/certificate_text.hpp"
#include "store/page.hpp"

namespace hearth::store {

struct CertificateRecord {
  CertificateId id;
  std::string name;     // empty where none was given
  std::string content;  // PEM
  UnixSeconds valid_at = 0;
  UnixSeconds expires_at = 0;
  UnixSeconds created_at = 0;
  bool active = false;  // for the owner that was asked about
};

// For whom a certificate is active: an organization, or one of its projects.
struct CertificateOwner {
  OrganizationId organization;
  std::optional<ProjectId> project;
};

// One that is active somewhere.
struct ActiveCertificate {
  CertificateId id;
  OrganizationId organization;
  std::string content;  // PEM
  bool for_organization = false;
  std::vector<ProjectId> projects;  // not the archived ones
};

struct ActiveCertificates {
  std::vector<ActiveCertificate> certificates;  // in the order of their ids
  std::size_t organizations = 0;                // all there are, with and without certificates
};

// Thread: any. Errors are ApiErrors for the caller of the API: 404 for a certificate or project that the
// organization does not have, 400 where a rule forbids the change.
class Certificates {
 public:
  static constexpr std::size_t most = 50;  // of an organization

  Certificates(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  // Not yet active anywhere. Throws ApiError 400: too_many_certificates; certificate_exists for one that the
  // organization has already.
  Task<CertificateRecord> add(Actor actor, std::string name, CertificateText text);
  // `active` is meant for the organization.
  Task<CertificateRecord> get(OrganizationId organization, CertificateId id);
  Task<CertificateRecord> rename(Actor actor, CertificateId id, std::string name);
  // Throws ApiError 400 certificate_active while it is active for the organization or a project of it that is
  // not archived.
  Task<void> remove(Actor actor, CertificateId id);

  // All certificates of the organization, also for a project; `active` is meant for the owner.
  Task<Page<CertificateRecord>> list(CertificateOwner owner, PageRequest page);

  // All of `ids` or none of them; what was so before stays so. Returns them in that order, each once. Throws
  // ApiError 404 with param `certificate_ids[i]`; 400 project_archived. The owner is of the actor's
  // organization.
  Task<std::vector<CertificateRecord>> activate(Actor actor, CertificateOwner owner,
                                                std::vector<CertificateId> ids);
  Task<std::vector<CertificateRecord>> deactivate(Actor actor, CertificateOwner owner,
                                                  std::vector<CertificateId> ids);

  // The way out for whoever has locked everybody out: none is active any more for the actor's organization
  // and its projects. Returns how many activations ended.
  Task<std::size_t> deactivate_all(Actor actor);

  // Of all organizations: what listeners demand.
  Task<ActiveCertificates> read_active();

 private:
  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace hearth::store
