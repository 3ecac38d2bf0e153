-- Work that outlives the request that asked for it, and the event logs that it writes. Times here are milliseconds since the
-- epoch. A job that runs belongs to a worker, which is a row for as long as a process holds jobs: when that row goes, the jobs
-- belong to nobody, and whoever sees them queues them again. `lease` counts how often a job was claimed.
CREATE TABLE job_workers (
  id TEXT NOT NULL PRIMARY KEY,
  beat BIGINT NOT NULL,
  lease_time BIGINT NOT NULL,
  host TEXT NOT NULL,
  started_at BIGINT NOT NULL
);

CREATE TABLE jobs (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT REFERENCES organizations (id),
  project_id TEXT REFERENCES projects (id),
  request_id TEXT,
  kind TEXT NOT NULL,
  unique_key TEXT UNIQUE,
  input TEXT NOT NULL,
  priority INTEGER NOT NULL,
  state TEXT NOT NULL,
  run_at BIGINT NOT NULL,
  attempts INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  lease BIGINT NOT NULL,
  worker TEXT REFERENCES job_workers (id) ON DELETE SET NULL,
  cancel_requested INTEGER NOT NULL,
  cursor TEXT,
  done BIGINT NOT NULL,
  total BIGINT NOT NULL,
  progress TEXT NOT NULL,
  error TEXT,
  created_at BIGINT NOT NULL,
  started_at BIGINT,
  ended_at BIGINT
);
CREATE INDEX jobs_waiting ON jobs (kind, priority DESC, run_at, id) WHERE state = 'queued';
CREATE INDEX jobs_due ON jobs (kind, run_at) WHERE state = 'queued';
CREATE INDEX jobs_to_cancel ON jobs (id) WHERE state = 'queued' AND cancel_requested = 1;
CREATE INDEX jobs_by_worker ON jobs (worker) WHERE worker IS NOT NULL;
CREATE INDEX jobs_running ON jobs (kind) WHERE state = 'running';
CREATE INDEX jobs_ended ON jobs (ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_by_project ON jobs (project_id, created_at) WHERE project_id IS NOT NULL;

CREATE TABLE event_streams (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT REFERENCES organizations (id),
  project_id TEXT REFERENCES projects (id),
  last_sequence BIGINT NOT NULL,
  ended INTEGER NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT
);
CREATE INDEX event_streams_by_expiry ON event_streams (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE stream_events (
  stream_id TEXT NOT NULL REFERENCES event_streams (id) ON DELETE CASCADE,
  sequence BIGINT NOT NULL,
  type TEXT NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (stream_id, sequence)
);

-- What the sweeps look for.
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX one_time_links_by_expiry ON one_time_links (expires_at);
CREATE INDEX invites_by_expiry ON invites (expires_at) WHERE accepted_at IS NULL;
