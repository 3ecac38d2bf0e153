-- People, and for whom keys act. Before, keys had no owner but the word 'bootstrap': each organization that
-- has such keys gets a service account of that name.
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
