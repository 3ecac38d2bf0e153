#include "store/certificates.hpp"

#include <algorithm>
#include <set>

#include "store/columns.hpp"

namespace hearth::store {
namespace {

using Record = CertificateRecord;

constexpr std::string_view table = "certificates";
constexpr std::string_view activations = "project_certificates";
constexpr Columns certificates{{.table = table, .missing = Rule::certificate_exists},
                               Column{"id", &Record::id},
                               Column{"name", &Record::name},
                               Column{"content", &Record::content},
                               Column{"valid_at", &Record::valid_at},
                               Column{"expires_at", &Record::expires_at},
                               Column{"created_at", &Record::created_at},
                               Column{"active", &Record::active}};

// The certificates that are active for the owner.
std::set<CertificateId> active_in(db::Connection& connection, const CertificateOwner& owner) {
  if (!owner.project)
    return select_ids<CertificateId>(connection, "id", table, within(owner.organization, {{"active", true}}));
  return select_ids<CertificateId>(connection, "certificate_id", activations, within(owner.tenant()));
}

json::object describe(const Record& record) {
  json::object described{{"id", record.id.str()}};
  if (!record.name.empty()) described["name"] = record.name;
  return described;
}

// Makes certificates active for the owner, or no longer so; returns them, each once.
std::vector<Record> switch_in(Change& change, const CertificateOwner& owner,
                              const std::vector<CertificateId>& ids, Activation wanted) {
  const bool active = wanted == Activation::active;
  const std::set<CertificateId> before = active_in(change, owner);
  std::vector<Record> all;
  NewAuditLog event{.type = active ? "certificates.activated" : "certificates.deactivated"};
  json::array changed;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    Record record = certificates.get(change, owner.organization, ids[i], i);
    if (std::ranges::find(all, record.id, &Record::id) != all.end()) continue;
    record.active = active;
    all.push_back(record);
    if (before.contains(record.id) == active) continue;
    event.resources.push_back(record.id.str());
    changed.push_back(describe(record));
    if (!owner.project)
      certificates.update(change, owner.organization, record.id, {{"active", active}});
    else if (active)
      insert(change, activations, within(owner.tenant(), {{"certificate_id", record.id}}));
    else
      erase(change, activations, within(owner.tenant(), {{"certificate_id", record.id}}));
  }
  if (changed.empty()) return all;
  event.details = json::write(json::object{{"certificates", std::move(changed)}});
  change.note(std::move(event));
  return all;
}

}  // namespace

Task<Outcome<Record>> Certificates::add(Actor actor, std::string name, CertificateText text) {
  co_return co_await changes_.make(actor, [&](Change& change) {
    const Fields same = within(actor.organization, {{"fingerprint", text.fingerprint}});
    for (const CertificateId& known : select_ids<CertificateId>(change, "id", table, same))
      refuse(Rule::certificate_is_new, known.str());
    if (select(change, "id", table, within(actor.organization)).size() >= most)
      refuse(Rule::certificates_have_room, std::to_string(most));
    const Record made{.id = CertificateId(change.ids.make("cert_")),
                      .name = std::move(name),
                      .content = std::move(text.content),
                      .valid_at = text.valid_at,
                      .expires_at = text.expires_at,
                      .created_at = change.now};
    certificates.insert(change, actor.organization, made, {{"fingerprint", text.fingerprint}});
    change.note("certificate.created", made.id.str(), describe(made));
    return made;
  });
}

Task<Outcome<Record>> Certificates::get(OrganizationId organization, CertificateId id) {
  co_return co_await changes_.look(
      [&](db::Connection& connection) { return certificates.get(connection, organization, id); });
}

Task<Outcome<Record>> Certificates::rename(Actor actor, CertificateId id, std::string name) {
  co_return co_await changes_.make(actor, [&](Change& change) {
    Record record = certificates.get(change, actor.organization, id);
    if (record.name == name) return record;
    record.name = name;
    certificates.update(change, actor.organization, id, {{"name", name}});
    change.note("certificate.updated", id.str(), describe(record));
    return record;
  });
}

Task<Outcome<void>> Certificates::remove(Actor actor, CertificateId id) {
  co_return co_await changes_.make(actor, [&](Change& change) {
    const Record record = certificates.get(change, actor.organization, id);
    if (record.active) refuse(Rule::certificate_is_inactive, id.str());
    // An archived project cannot be changed any more, so what was active there does not count.
    for (const ProjectId& project : select_ids<ProjectId>(
             change, "p.id", "projects p JOIN project_certificates c ON c.project_id = p.id",
             {{"p.organization_id", actor.organization}, {"c.certificate_id", id}, {"p.status", "active"}}))
      refuse(Rule::certificate_is_inactive_in_the_project, project.str());
    erase(change, activations, within(actor.organization, {{"certificate_id", id}}));
    certificates.erase(change, actor.organization, id);
    json::object details = describe(record);
    details["certificate"] = record.content;
    change.note("certificate.deleted", id.str(), std::move(details));
  });
}

Task<Outcome<Page<Record>>> Certificates::list(CertificateOwner owner, PageRequest request) {
  co_return co_await changes_.look([&](db::Connection& connection) {
    if (owner.project) Projects::require_in(connection, owner.organization, *owner.project);
    const std::set<CertificateId> active = active_in(connection, owner);
    auto page = certificates.list(connection, owner.organization, request);
    for (Record& record : page.items)
      record.active = active.contains(record.id);
    return page;
  });
}

Task<Outcome<std::vector<Record>>> Certificates::set_active(Actor actor, CertificateOwner owner,
                                                            std::vector<CertificateId> ids,
                                                            Activation wanted) {
  co_return co_await changes_.make(actor, [&](Change& change) {
    if (owner.project) change.project = Projects::require_active_in(change, owner.tenant());
    return switch_in(change, owner, ids, wanted);
  });
}

Task<std::size_t> Certificates::deactivate_all(Actor actor) {
  const auto ended = co_await changes_.make(actor, [&](Change& change) {
    const auto projects =
        select_ids<ProjectId>(change, "project_id", activations, within(actor.organization));
    std::set<std::optional<ProjectId>> owners(projects.begin(), projects.end());
    owners.insert(std::nullopt);  // the organization, which comes first
    std::size_t count = 0;
    for (const auto& project : owners) {
      if (project) change.project = Projects::require_in(change, actor.organization, *project);
      const auto active = active_in(change, {actor.organization, project});
      switch_in(change, {actor.organization, project}, {active.begin(), active.end()}, Activation::inactive);
      count += active.size();
    }
    return count;
  });
  co_return ended.value();  // no rule forbids it
}

Task<ActiveCertificates> Certificates::read_active() {
  const auto read = co_await changes_.look([](db::Connection& connection) {
    ActiveCertificates active;
    active.organizations = connection.query("SELECT COUNT(*) FROM organizations")[0].get<std::size_t>(0);
    // Active in archived projects alone is active nowhere.
    for (const db::Row row : connection.query(
             "SELECT c.id, c.organization_id, c.content, c.active, p.id FROM certificates c LEFT JOIN "
             "(project_certificates a JOIN projects p ON p.id = a.project_id AND p.status = 'active') "
             "ON a.certificate_id = c.id WHERE c.active = 1 OR p.id IS NOT NULL ORDER BY c.id, p.id")) {
      if (active.certificates.empty() || active.certificates.back().id != row.get<CertificateId>(0)) {
        active.certificates.push_back({.id = row.get<CertificateId>(0),
                                       .organization = row.get<OrganizationId>(1),
                                       .content = row.get<std::string>(2),
                                       .for_organization = row.get<bool>(3)});
      }
      if (const auto project = row.get<std::optional<ProjectId>>(4))
        active.certificates.back().projects.push_back(*project);
    }
    return active;
  });
  co_return read.value();  // no rule forbids it
}

}  // namespace hearth::store
