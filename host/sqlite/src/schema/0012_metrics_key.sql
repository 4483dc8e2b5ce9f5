-- keys that read metrics and nothing else; they belong to no application
CREATE TABLE api_key_with_metrics (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    hash        BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    scope       TEXT NOT NULL CHECK (scope IN ('admin', 'application', 'ingest', 'metrics')),
    application BLOB REFERENCES application (id),
    label       TEXT NOT NULL,
    created_at  INTEGER NOT NULL CHECK (created_at >= 0),
    CHECK ((scope IN ('admin', 'metrics')) = (application IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO api_key_with_metrics (id, hash, scope, application, label, created_at)
SELECT id, hash, scope, application, label, created_at FROM api_key;
DROP TABLE api_key;
ALTER TABLE api_key_with_metrics RENAME TO api_key;
CREATE INDEX api_key_by_application ON api_key (application) WHERE application IS NOT NULL;
