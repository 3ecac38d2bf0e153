-- What a project may use of a model, where that is not what the configuration says. Models of the
-- configuration have no rows, so the model is only named.
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
