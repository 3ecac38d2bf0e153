-- Certificates of authorities, and for whom they are active: the organization (the flag) or projects (the
-- rows).
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
