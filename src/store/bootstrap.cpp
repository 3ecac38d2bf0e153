#include "store/bootstrap.hpp"

#include "store/keys.hpp"
#include "store/sequence.hpp"

namespace hearth::store {
namespace {

std::optional<Bootstrap> create(db::Connection& connection, const Clock& clock, IdSource& ids) {
  const UnixSeconds now = clock.unix_now();
  // The row is the mark that it was done; it stays even if all that was made is deleted later.
  const bool is_first = connection.execute(
                            "INSERT INTO settings (name, value, updated_at) VALUES ('bootstrap', 'done', $1) "
                            "ON CONFLICT (name) DO NOTHING",
                            {now}) == 1;
  if (!is_first) return std::nullopt;

  Bootstrap made;
  made.organization = OrganizationId(ids.make("org-"));
  made.project = ProjectId(ids.make("proj_"));
  connection.execute("INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3)",
                     {made.organization, "Hearth", now});
  connection.execute(
      "INSERT INTO projects (id, organization_id, name, status, is_default, created_at, sequence) "
      "VALUES ($1, $2, $3, 'active', 1, $4, $5)",
      {made.project, made.organization, "Default project", now,
       next_sequence(connection, made.organization, "projects")});
  // Nobody is known yet: the first keys belong to a service account that may administer.
  const std::string account = ids.make("svc_acct_");
  connection.execute(
      "INSERT INTO service_accounts (id, organization_id, project_id, name, role, administers, created_at, "
      "sequence) VALUES ($1, $2, $3, 'Bootstrap', 'owner', 1, $4, $5)",
      {account, made.organization, made.project, now,
       next_sequence(connection, {made.organization, made.project}, "service_accounts")});
  const auto create_key = [&](KeyKind kind, std::optional<ProjectId> project, std::string name) {
    NewKey key{made.organization, std::move(project),         kind,
               std::move(name),   OwnerKind::service_account, account};
    return Keys::create_in(connection, clock, ids, std::move(key)).secret;
  };
  made.admin_key = create_key(KeyKind::admin, std::nullopt, "First admin key");
  made.project_key = create_key(KeyKind::project, made.project, "First project key");
  return made;
}

}  // namespace

Task<std::optional<Bootstrap>> bootstrap(db::Database& database, const Clock& clock, IdSource& ids,
                                         KeyHandover hand_over) {
  co_return co_await database.write(db::WriteScope::everyone(), [&](db::Connection& connection) {
    auto made = create(connection, clock, ids);
    if (made && hand_over) hand_over(*made);
    return made;
  });
}

}  // namespace hearth::store
