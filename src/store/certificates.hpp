// The certificates of authorities whose clients the server lets in: added, named, made active for the whole
// organization or for a project.
//
// Every change writes its audit event in the same transaction. Changes of one organization happen one after
// the other, whatever process makes them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/certificate_text.hpp"
#include "store/change.hpp"
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

  Tenant tenant() const { return {organization, project.value()}; }  // of a project
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

enum class Activation { active, inactive };

// Thread: any. Refusals: certificate_exists, project_exists, and what is said below.
class Certificates {
 public:
  static constexpr std::size_t most = 50;  // of an organization

  Certificates(db::Database& database, const Clock& clock, IdSource& ids) : changes_(database, clock, ids) {}

  // Not yet active anywhere. Refusals: certificates_have_room; certificate_is_new for one that the
  // organization has already.
  Task<Outcome<CertificateRecord>> add(Actor actor, std::string name, CertificateText text);
  // `active` is meant for the organization.
  Task<Outcome<CertificateRecord>> get(OrganizationId organization, CertificateId id);
  Task<Outcome<CertificateRecord>> rename(Actor actor, CertificateId id, std::string name);
  // Refusals: certificate_is_inactive, and certificate_is_inactive_in_the_project for one that is not
  // archived.
  Task<Outcome<void>> remove(Actor actor, CertificateId id);

  // All certificates of the organization, also for a project; `active` is meant for the owner.
  Task<Outcome<Page<CertificateRecord>>> list(CertificateOwner owner, PageRequest page);

  // All of `ids` or none of them; what was so before stays so. Returns them in that order, each once. A
  // refusal tells the position; project_is_active is one. The owner is of the actor's organization.
  Task<Outcome<std::vector<CertificateRecord>>> set_active(Actor actor, CertificateOwner owner,
                                                           std::vector<CertificateId> ids, Activation wanted);

  // The way out for whoever has locked everybody out: none is active any more for the actor's organization
  // and its projects. Returns how many activations ended.
  Task<std::size_t> deactivate_all(Actor actor);

  // The active certificates of all organizations, for listeners.
  Task<ActiveCertificates> read_active();

 private:
  Changes changes_;
};

}  // namespace hearth::store
