-- The access epoch in parts: each organization counts its own changes, so that two that change something do not
-- wait for each other. The row without an organization is what was counted before.
CREATE TABLE access_epochs (
  organization_id TEXT NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO access_epochs (organization_id, value) SELECT '', value FROM epochs WHERE name = 'access';
DROP TABLE epochs;
