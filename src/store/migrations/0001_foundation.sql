-- Portable subset: TEXT, BIGINT, INTEGER (flags are 0 and 1), no engine's own row ids. Times are seconds
-- since the epoch. Sequences are counted in a table of our own, so that their order is the order of the
-- commits.
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
