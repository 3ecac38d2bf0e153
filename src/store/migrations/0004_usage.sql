-- What was used, in three widths of buckets that hold the same sums; what it cost; what may be spent. A
-- series is one combination of everything that usage is grouped and filtered by, so that the rows of the
-- buckets are numbers alone; `scope` is the id of the first series of its organization and kind. Amounts are
-- billionths of the currency.
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
