#include "store/schema.hpp"

#include <array>

#include <fmt/format.h>

#include "db/sqlite.hpp"

namespace hearth::store {
namespace {

// Portable subset: TEXT, BIGINT, INTEGER (flags are 0 and 1), no engine's own row ids. Times are seconds
// since the epoch. Sequences are counted in a table of our own, so that their order is the order of the
// commits.
constexpr std::string_view version_1 = R"sql(
CREATE TABLE settings (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL,
  updated_at BIGINT NOT NULL
);

CREATE TABLE organizations (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE projects (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  is_default INTEGER NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX projects_by_organization ON projects (organization_id, created_at, id);
CREATE UNIQUE INDEX projects_one_default ON projects (organization_id) WHERE is_default = 1;

CREATE TABLE api_keys (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  project_id TEXT REFERENCES projects (id),
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  redacted_value TEXT NOT NULL,
  owner TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT,
  revoked_at BIGINT
);
CREATE INDEX api_keys_by_project ON api_keys (organization_id, project_id, created_at, id);

CREATE TABLE sequences (
  organization_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (organization_id, project_id, name)
);

CREATE TABLE chat_completions (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  project_id TEXT NOT NULL REFERENCES projects (id),
  created_at BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  model TEXT NOT NULL,
  request TEXT NOT NULL,
  response TEXT NOT NULL,
  metadata TEXT NOT NULL
);
CREATE UNIQUE INDEX chat_completions_in_order
  ON chat_completions (organization_id, project_id, created_at, sequence);

CREATE TABLE chat_completion_messages (
  completion_id TEXT NOT NULL REFERENCES chat_completions (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (completion_id, position)
);

CREATE TABLE chat_completion_metadata (
  completion_id TEXT NOT NULL REFERENCES chat_completions (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (completion_id, name)
);

CREATE TABLE models (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT REFERENCES organizations (id),
  project_id TEXT REFERENCES projects (id),
  spec TEXT NOT NULL,
  fine_tuned INTEGER NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE model_aliases (
  name TEXT NOT NULL PRIMARY KEY,
  target TEXT NOT NULL
);
)sql";

// People, and for whom keys act. Before, keys had no owner but the word 'bootstrap': each organization that
// has such keys gets a service account of that name.
constexpr std::string_view version_2 = R"sql(
CREATE TABLE epochs (
  name TEXT NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO epochs (name, value) VALUES ('access', 1);

ALTER TABLE projects ADD COLUMN archived_at BIGINT;
ALTER TABLE projects ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0;

CREATE TABLE users (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  email TEXT NOT NULL,
  email_key TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  password_hash TEXT,
  added_at BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  UNIQUE (organization_id, email_key)
);
CREATE INDEX users_in_order ON users (organization_id, added_at, sequence);

CREATE TABLE project_users (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  project_id TEXT NOT NULL REFERENCES projects (id),
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  added_at BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  PRIMARY KEY (project_id, user_id)
);
CREATE INDEX project_users_in_order ON project_users (organization_id, project_id, added_at, sequence);
CREATE INDEX project_users_by_user ON project_users (user_id);

CREATE TABLE service_accounts (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  project_id TEXT NOT NULL REFERENCES projects (id),
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  administers INTEGER NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  sequence BIGINT NOT NULL
);
CREATE INDEX service_accounts_in_order ON service_accounts (organization_id, project_id, created_at, sequence);

CREATE TABLE invites (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  email TEXT NOT NULL,
  email_key TEXT NOT NULL,
  role TEXT NOT NULL,
  invited_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  accepted_at BIGINT,
  sequence BIGINT NOT NULL
);
CREATE INDEX invites_in_order ON invites (organization_id, invited_at, sequence);

CREATE TABLE invite_projects (
  invite_id TEXT NOT NULL REFERENCES invites (id) ON DELETE CASCADE,
  project_id TEXT NOT NULL REFERENCES projects (id),
  role TEXT NOT NULL,
  PRIMARY KEY (invite_id, project_id)
);

CREATE TABLE one_time_links (
  token_hash TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  purpose TEXT NOT NULL,
  subject TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);
CREATE INDEX one_time_links_by_subject ON one_time_links (organization_id, purpose, subject);

CREATE TABLE sessions (
  token_hash TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);

ALTER TABLE api_keys ADD COLUMN owner_kind TEXT NOT NULL DEFAULT 'service_account';
ALTER TABLE api_keys ADD COLUMN expires_at BIGINT;
ALTER TABLE api_keys ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0;
CREATE INDEX api_keys_by_owner ON api_keys (organization_id, owner);

INSERT INTO service_accounts (id, organization_id, project_id, name, role, administers, created_at, sequence)
  SELECT 'svc_acct_' || substr(p.id, 6), p.organization_id, p.id, 'Bootstrap', 'owner', 1, p.created_at, 0
  FROM projects p WHERE p.is_default = 1
  AND EXISTS (SELECT 1 FROM api_keys k WHERE k.organization_id = p.organization_id AND k.owner = 'bootstrap');
UPDATE api_keys SET owner = (
    SELECT s.id FROM service_accounts s WHERE s.organization_id = api_keys.organization_id AND s.administers = 1)
  WHERE owner = 'bootstrap';
)sql";

// Who changed what. Rows are only ever added.
constexpr std::string_view version_3 = R"sql(
CREATE TABLE audit_logs (
  organization_id TEXT NOT NULL,
  sequence BIGINT NOT NULL,
  id TEXT NOT NULL UNIQUE,
  effective_at BIGINT NOT NULL,
  type TEXT NOT NULL,
  project_id TEXT,
  project_name TEXT,
  actor_type TEXT NOT NULL,
  actor_key_id TEXT,
  actor_owner_kind TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  actor_email TEXT NOT NULL,
  ip_address TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  details TEXT NOT NULL,
  PRIMARY KEY (organization_id, sequence)
);
CREATE INDEX audit_logs_in_order ON audit_logs (organization_id, effective_at, sequence);
CREATE INDEX audit_logs_by_type ON audit_logs (organization_id, type, effective_at, sequence);
CREATE INDEX audit_logs_by_project ON audit_logs (organization_id, project_id, effective_at, sequence);
CREATE INDEX audit_logs_by_actor ON audit_logs (organization_id, actor_id, effective_at, sequence);
CREATE INDEX audit_logs_by_email ON audit_logs (organization_id, actor_email, effective_at, sequence);
CREATE INDEX audit_logs_by_project_and_type ON audit_logs (organization_id, project_id, type, effective_at, sequence);
CREATE INDEX audit_logs_by_actor_and_type ON audit_logs (organization_id, actor_id, type, effective_at, sequence);
CREATE INDEX audit_logs_by_actor_and_project
  ON audit_logs (organization_id, actor_id, project_id, effective_at, sequence);

CREATE TABLE audit_log_resources (
  organization_id TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  type TEXT NOT NULL,
  effective_at BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  PRIMARY KEY (organization_id, resource_id, effective_at, sequence)
);
CREATE INDEX audit_log_resources_by_type
  ON audit_log_resources (organization_id, resource_id, type, effective_at, sequence);
)sql";

// What was used, in three widths of buckets that hold the same sums; what it cost; what may be spent. A
// series is one combination of everything that usage is grouped and filtered by, so that the rows of the
// buckets are numbers alone; `scope` is the id of the first series of its organization and kind. Amounts are
// billionths of the currency.
constexpr std::string_view version_4 = R"sql(
CREATE TABLE usage_series (
  id INTEGER NOT NULL PRIMARY KEY,
  scope INTEGER NOT NULL,
  organization_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  api_key_id TEXT NOT NULL,
  model TEXT NOT NULL,
  batch TEXT NOT NULL,
  source TEXT NOT NULL,
  size TEXT NOT NULL,
  UNIQUE (organization_id, kind, project_id, user_id, api_key_id, model, batch, source, size)
);

CREATE TABLE usage_minutes (
  scope INTEGER NOT NULL,
  bucket BIGINT NOT NULL,
  series INTEGER NOT NULL,
  requests BIGINT NOT NULL,
  input_tokens BIGINT NOT NULL,
  input_cached_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  input_audio_tokens BIGINT NOT NULL,
  output_audio_tokens BIGINT NOT NULL,
  images BIGINT NOT NULL,
  characters BIGINT NOT NULL,
  seconds BIGINT NOT NULL,
  sessions BIGINT NOT NULL,
  PRIMARY KEY (scope, bucket, series)
);

CREATE TABLE usage_hours (
  scope INTEGER NOT NULL,
  bucket BIGINT NOT NULL,
  series INTEGER NOT NULL,
  requests BIGINT NOT NULL,
  input_tokens BIGINT NOT NULL,
  input_cached_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  input_audio_tokens BIGINT NOT NULL,
  output_audio_tokens BIGINT NOT NULL,
  images BIGINT NOT NULL,
  characters BIGINT NOT NULL,
  seconds BIGINT NOT NULL,
  sessions BIGINT NOT NULL,
  PRIMARY KEY (scope, bucket, series)
);

CREATE TABLE usage_days (
  scope INTEGER NOT NULL,
  bucket BIGINT NOT NULL,
  series INTEGER NOT NULL,
  requests BIGINT NOT NULL,
  input_tokens BIGINT NOT NULL,
  input_cached_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  input_audio_tokens BIGINT NOT NULL,
  output_audio_tokens BIGINT NOT NULL,
  images BIGINT NOT NULL,
  characters BIGINT NOT NULL,
  seconds BIGINT NOT NULL,
  sessions BIGINT NOT NULL,
  PRIMARY KEY (scope, bucket, series)
);

CREATE TABLE vector_store_bytes (
  organization_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  PRIMARY KEY (organization_id, project_id, changed_at)
);

CREATE TABLE cost_days (
  organization_id TEXT NOT NULL,
  bucket BIGINT NOT NULL,
  project_id TEXT NOT NULL,
  line_item TEXT NOT NULL,
  amount BIGINT NOT NULL,
  PRIMARY KEY (organization_id, bucket, project_id, line_item)
);

CREATE TABLE project_spending (
  project_id TEXT NOT NULL,
  month BIGINT NOT NULL,
  organization_id TEXT NOT NULL,
  amount BIGINT NOT NULL,
  PRIMARY KEY (project_id, month)
);

CREATE TABLE usage_writers (
  writer TEXT NOT NULL PRIMARY KEY,
  last_batch BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

CREATE TABLE project_budgets (
  project_id TEXT NOT NULL PRIMARY KEY REFERENCES projects (id),
  organization_id TEXT NOT NULL,
  amount BIGINT,
  updated_at BIGINT NOT NULL
);
)sql";

// Certificates of authorities, and for whom they are active: the organization (the flag) or projects (the
// rows).
constexpr std::string_view version_5 = R"sql(
CREATE TABLE certificates (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  content TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  valid_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  active INTEGER NOT NULL,
  UNIQUE (organization_id, fingerprint)
);
CREATE INDEX certificates_in_order ON certificates (organization_id, created_at, sequence);

CREATE TABLE project_certificates (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  project_id TEXT NOT NULL REFERENCES projects (id),
  certificate_id TEXT NOT NULL REFERENCES certificates (id),
  PRIMARY KEY (project_id, certificate_id)
);
CREATE INDEX project_certificates_by_certificate ON project_certificates (certificate_id);
)sql";

// What a project may use of a model, where that is not what the configuration says. Models of the
// configuration have no rows, so the model is only named.
constexpr std::string_view version_6 = R"sql(
CREATE TABLE project_rate_limits (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  project_id TEXT NOT NULL REFERENCES projects (id),
  model TEXT NOT NULL,
  requests_per_minute BIGINT,
  tokens_per_minute BIGINT,
  images_per_minute BIGINT,
  audio_megabytes_per_minute BIGINT,
  requests_per_day BIGINT,
  batch_input_tokens_per_day BIGINT,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (project_id, model)
);
)sql";

constexpr std::array all_migrations{
    db::Migration{1, "foundation", version_1},   db::Migration{2, "people", version_2},
    db::Migration{3, "audit logs", version_3},   db::Migration{4, "usage", version_4},
    db::Migration{5, "certificates", version_5}, db::Migration{6, "rate limits", version_6},
};

}  // namespace

std::span<const db::Migration> migrations() {
  return all_migrations;
}

std::unique_ptr<db::Database> open_database(std::unique_ptr<db::Driver> driver,
                                            db::Database::Options options) {
  db::migrate(*driver, all_migrations);
  return std::make_unique<db::Database>(std::move(driver), options);
}

std::unique_ptr<db::Database> open_data_directory(const std::filesystem::path& directory,
                                                  db::Database::Options options) {
  namespace fs = std::filesystem;
  std::error_code failure;
  if (fs::create_directories(directory, failure)) {
    // What clients wrote is nobody else's to read.
    fs::permissions(directory, fs::perms::owner_all, failure);
  }
  if (failure) {
    throw db::Error(db::ErrorKind::unavailable, fmt::format("cannot make the data directory {}: {}",
                                                            directory.string(), failure.message()));
  }
  return open_database(db::open_sqlite({.file = directory / "hearth.db"}), options);
}

}  // namespace hearth::store
