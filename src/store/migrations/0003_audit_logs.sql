-- Who changed what. Rows are only ever added.
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
