#include "store/certificates.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "json/json.hpp"
#include "store/projects.hpp"
#include "store/sequence.hpp"

namespace hearth::store {
namespace {

constexpr std::string_view columns = "id, name, content, valid_at, expires_at, created_at, active";

CertificateRecord parse_record(const db::Row& row) {
  return {.id = row.get<CertificateId>(0),
          .name = row.get<std::string>(1),
          .content = row.get<std::string>(2),
          .valid_at = row.get<UnixSeconds>(3),
          .expires_at = row.get<UnixSeconds>(4),
          .created_at = row.get<UnixSeconds>(5),
          .active = row.get<bool>(6)};
}

// Waits for other changes of the organization's certificates, also those of other processes: the row stays
// locked until this transaction ends. Returns a number for the order of lists.
std::int64_t begin_change(db::Connection& connection, const OrganizationId& organization) {
  return next_sequence(connection, organization, "certificates");
}

ApiError unknown_certificate(const CertificateId& id, std::string param = "certificate_id") {
  return ApiError::not_found(fmt::format("No certificate with the id '{}' exists.", id.str()),
                             std::move(param));
}

std::optional<CertificateRecord> find_in(db::Connection& connection, const OrganizationId& organization,
                                         const CertificateId& id) {
  const db::Rows rows = connection.query(
      fmt::format("SELECT {} FROM certificates WHERE organization_id = $1 AND id = $2", columns),
      {organization, id});
  if (rows.empty()) return std::nullopt;
  return parse_record(rows[0]);
}

CertificateRecord get_in(db::Connection& connection, const OrganizationId& organization,
                         const CertificateId& id) {
  auto found = find_in(connection, organization, id);
  if (!found) throw unknown_certificate(id);
  return std::move(*found);
}

// Of the owner; nullopt where that is the organization. Throws ApiError 404.
std::optional<Project> project_of(db::Connection& connection, const CertificateOwner& owner) {
  if (!owner.project) return std::nullopt;
  return Projects::get_in(connection, owner.organization, *owner.project);
}

// The certificates that are active for the owner.
std::set<CertificateId> active_in(db::Connection& connection, const CertificateOwner& owner) {
  const db::Rows rows =
      owner.project
          ? connection.query(
                "SELECT certificate_id FROM project_certificates WHERE organization_id = $1 AND "
                "project_id = $2",
                {owner.organization, *owner.project})
          : connection.query("SELECT id FROM certificates WHERE organization_id = $1 AND active = 1",
                             {owner.organization});
  std::set<CertificateId> active;
  for (const db::Row row : rows)
    active.insert(row.get<CertificateId>(0));
  return active;
}

json::object describe(const CertificateRecord& record) {
  json::object described{{"id", record.id.str()}};
  if (!record.name.empty()) described["name"] = record.name;
  return described;
}

NewAuditLog single_event(std::string_view type, const CertificateRecord& record,
                         const json::object& details) {
  return {.type = type, .resources = {record.id.str()}, .details = json::write(details)};
}

NewAuditLog switch_event(std::string_view type, const CertificateOwner& owner,
                         const std::optional<Project>& project,
                         const std::vector<CertificateRecord>& changed) {
  NewAuditLog event{.type = type};
  if (project) {
    event.project = owner.project;
    event.project_name = project->name;
  }
  json::array certificates;
  for (const CertificateRecord& record : changed) {
    event.resources.push_back(record.id.str());
    certificates.push_back(describe(record));
  }
  event.details = json::write(json::object{{"certificates", std::move(certificates)}});
  return event;
}

void set_active(db::Connection& connection, const CertificateOwner& owner, const CertificateId& id,
                bool active) {
  if (!owner.project) {
    connection.execute("UPDATE certificates SET active = $1 WHERE organization_id = $2 AND id = $3",
                       {active, owner.organization, id});
  } else if (active) {
    connection.execute(
        "INSERT INTO project_certificates (organization_id, project_id, certificate_id) VALUES ($1, $2, $3)",
        {owner.organization, *owner.project, id});
  } else {
    connection.execute(
        "DELETE FROM project_certificates WHERE organization_id = $1 AND project_id = $2 AND certificate_id "
        "= $3",
        {owner.organization, *owner.project, id});
  }
}

// What activate() and deactivate() have in common. `active` is what they shall be.
std::vector<CertificateRecord> switch_in(db::Connection& connection, const Clock& clock, IdSource& ids,
                                         const Actor& actor, const CertificateOwner& owner,
                                         const std::vector<CertificateId>& chosen, bool active) {
  begin_change(connection, owner.organization);
  std::optional<Project> project;
  if (owner.project) project = Projects::get_active_in(connection, {owner.organization, *owner.project});
  const std::set<CertificateId> before = active_in(connection, owner);
  std::vector<CertificateRecord> all;
  std::vector<CertificateRecord> changed;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    auto found = find_in(connection, owner.organization, chosen[i]);
    if (!found) throw unknown_certificate(chosen[i], fmt::format("certificate_ids[{}]", i));
    if (std::ranges::find(all, found->id, &CertificateRecord::id) != all.end()) continue;
    found->active = active;
    if (before.contains(found->id) != active) changed.push_back(*found);
    all.push_back(std::move(*found));
  }
  for (const CertificateRecord& record : changed)
    set_active(connection, owner, record.id, active);
  if (!changed.empty()) {
    const std::string_view type = active ? "certificates.activated" : "certificates.deactivated";
    AuditLogs::append_in(connection, clock, ids, actor, switch_event(type, owner, project, changed));
  }
  return all;
}

// All activations of one owner; returns how many there were.
std::size_t deactivate_owner(db::Connection& connection, const Clock& clock, IdSource& ids,
                             const Actor& actor, const CertificateOwner& owner) {
  std::vector<CertificateRecord> changed;
  for (const CertificateId& id : active_in(connection, owner)) {
    changed.push_back(get_in(connection, owner.organization, id));
    set_active(connection, owner, id, false);
  }
  if (!changed.empty()) {
    AuditLogs::append_in(
        connection, clock, ids, actor,
        switch_event("certificates.deactivated", owner, project_of(connection, owner), changed));
  }
  return changed.size();
}

}  // namespace

Task<CertificateRecord> Certificates::add(Actor actor, std::string name, CertificateText text) {
  CertificateRecord made{.id = CertificateId(ids_.make("cert_")),
                         .name = std::move(name),
                         .content = std::move(text.content),
                         .valid_at = text.valid_at,
                         .expires_at = text.expires_at,
                         .created_at = clock_.unix_now()};
  co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const std::int64_t sequence = begin_change(connection, actor.organization);
    const db::Rows same =
        connection.query("SELECT id FROM certificates WHERE organization_id = $1 AND fingerprint = $2",
                         {actor.organization, text.fingerprint});
    if (!same.empty()) {
      throw ApiError::invalid_request(
          "certificate_exists",
          fmt::format("The organization has this certificate already: '{}'.", same[0].get<std::string>(0)),
          text.param);
    }
    const auto count =
        connection
            .query("SELECT COUNT(*) FROM certificates WHERE organization_id = $1", {actor.organization})[0]
            .get<std::size_t>(0);
    if (count >= most) {
      throw ApiError::invalid_request(
          "too_many_certificates",
          fmt::format("The organization has {} certificates, as many as it may: delete one first.", most));
    }
    connection.execute(
        "INSERT INTO certificates (id, organization_id, name, content, fingerprint, valid_at, expires_at, "
        "created_at, sequence, active) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)",
        {made.id, actor.organization, made.name, made.content, text.fingerprint, made.valid_at,
         made.expires_at, made.created_at, sequence});
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         single_event("certificate.created", made, describe(made)));
  });
  co_return made;
}

Task<CertificateRecord> Certificates::get(OrganizationId organization, CertificateId id) {
  co_return co_await database_.read(
      [&](db::Connection& connection) { return get_in(connection, organization, id); });
}

Task<CertificateRecord> Certificates::rename(Actor actor, CertificateId id, std::string name) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    begin_change(connection, actor.organization);
    CertificateRecord record = get_in(connection, actor.organization, id);
    if (record.name == name) return record;
    record.name = name;
    connection.execute("UPDATE certificates SET name = $1 WHERE organization_id = $2 AND id = $3",
                       {name, actor.organization, id});
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         single_event("certificate.updated", record, describe(record)));
    return record;
  });
}

Task<void> Certificates::remove(Actor actor, CertificateId id) {
  co_await database_.write(actor.organization, [&](db::Connection& connection) {
    begin_change(connection, actor.organization);
    const CertificateRecord record = get_in(connection, actor.organization, id);
    // An archived project cannot be changed any more, so what was active there does not count.
    const db::Rows projects = connection.query(
        "SELECT p.id FROM project_certificates c JOIN projects p ON p.id = c.project_id "
        "WHERE c.organization_id = $1 AND c.certificate_id = $2 AND p.status = 'active' ORDER BY p.id LIMIT "
        "1",
        {actor.organization, id});
    if (record.active || !projects.empty()) {
      throw ApiError::invalid_request(
          "certificate_active",
          fmt::format("The certificate is active for {}: deactivate it first.",
                      record.active ? "the organization"
                                    : fmt::format("the project '{}'", projects[0].get<std::string>(0))),
          "certificate_id");
    }
    connection.execute("DELETE FROM project_certificates WHERE organization_id = $1 AND certificate_id = $2",
                       {actor.organization, id});
    connection.execute("DELETE FROM certificates WHERE organization_id = $1 AND id = $2",
                       {actor.organization, id});
    json::object details = describe(record);
    details["certificate"] = record.content;
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         single_event("certificate.deleted", record, details));
  });
}

Task<Page<CertificateRecord>> Certificates::list(CertificateOwner owner, PageRequest page) {
  co_return co_await database_.read([&](db::Connection& connection) {
    project_of(connection, owner);
    const std::set<CertificateId> active = active_in(connection, owner);
    PagedSelect select(columns, "certificates", {"created_at", "sequence"});
    select.where("organization_id = {}", owner.organization);
    return select.read<CertificateRecord>(connection, page, "id", page.after, [&](const db::Row& row) {
      CertificateRecord record = parse_record(row);
      record.active = active.contains(record.id);
      return record;
    });
  });
}

Task<std::vector<CertificateRecord>> Certificates::activate(Actor actor, CertificateOwner owner,
                                                            std::vector<CertificateId> ids) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    return switch_in(connection, clock_, ids_, actor, owner, ids, true);
  });
}

Task<std::vector<CertificateRecord>> Certificates::deactivate(Actor actor, CertificateOwner owner,
                                                              std::vector<CertificateId> ids) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    return switch_in(connection, clock_, ids_, actor, owner, ids, false);
  });
}

Task<std::size_t> Certificates::deactivate_all(Actor actor) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    begin_change(connection, actor.organization);
    std::size_t ended = deactivate_owner(connection, clock_, ids_, actor, {actor.organization, std::nullopt});
    const db::Rows projects = connection.query(
        "SELECT DISTINCT project_id FROM project_certificates WHERE organization_id = $1 ORDER BY project_id",
        {actor.organization});
    for (const db::Row row : projects) {
      ended += deactivate_owner(connection, clock_, ids_, actor, {actor.organization, row.get<ProjectId>(0)});
    }
    return ended;
  });
}

Task<ActiveCertificates> Certificates::read_active() {
  co_return co_await database_.read([](db::Connection& connection) {
    ActiveCertificates active;
    active.organizations = connection.query("SELECT COUNT(*) FROM organizations")[0].get<std::size_t>(0);
    std::map<CertificateId, std::vector<ProjectId>> projects;
    for (const db::Row row : connection.query(
             "SELECT c.certificate_id, c.project_id FROM project_certificates c "
             "JOIN projects p ON p.id = c.project_id WHERE p.status = 'active' ORDER BY c.project_id")) {
      projects[row.get<CertificateId>(0)].push_back(row.get<ProjectId>(1));
    }
    for (const db::Row row : connection.query(
             "SELECT id, organization_id, content, active FROM certificates WHERE active = 1 OR id IN "
             "(SELECT certificate_id FROM project_certificates) ORDER BY id")) {
      ActiveCertificate certificate{.id = row.get<CertificateId>(0),
                                    .organization = row.get<OrganizationId>(1),
                                    .content = row.get<std::string>(2),
                                    .for_organization = row.get<bool>(3)};
      if (const auto found = projects.find(certificate.id); found != projects.end())
        certificate.projects = std::move(found->second);
      // Active in archived projects alone is active nowhere.
      if (!certificate.for_organization && certificate.projects.empty()) continue;
      active.certificates.push_back(std::move(certificate));
    }
    return active;
  });
}

}  // namespace hearth::store
