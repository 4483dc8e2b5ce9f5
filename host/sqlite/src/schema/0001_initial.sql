-- schema version 1

CREATE TABLE application (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    uid        TEXT UNIQUE CHECK (length(uid) BETWEEN 1 AND 256),
    name       TEXT NOT NULL,
    rate_limit INTEGER CHECK (rate_limit BETWEEN 0 AND 65535),
    metadata   TEXT NOT NULL CHECK (json_type(metadata) = 'object'),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    updated_at INTEGER NOT NULL CHECK (updated_at >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoint (
    id                BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    application       BLOB NOT NULL REFERENCES application (id),
    uid               TEXT CHECK (length(uid) BETWEEN 1 AND 256),
    url               TEXT NOT NULL,
    description       TEXT NOT NULL,
    filter            TEXT NOT NULL CHECK (json_type(filter) = 'object'),
    disabled_reason   TEXT CHECK (disabled_reason IN ('operator', 'gone')),
    disabled_since    INTEGER CHECK (disabled_since >= 0),
    metadata          TEXT NOT NULL CHECK (json_type(metadata) = 'object'),
    -- signing keys and custom headers, sealed
    secrets           BLOB NOT NULL,
    plugin            TEXT,
    plugin_enabled    INTEGER CHECK (plugin_enabled IN (0, 1)),
    plugin_pinned     BLOB CHECK (length(plugin_pinned) = 32),
    plugin_settings   TEXT,
    plugin_on_failure TEXT CHECK (plugin_on_failure IN ('hold', 'bypass', 'dead_letter')),
    policy            TEXT NOT NULL CHECK (json_type(policy) = 'object'),
    created_at        INTEGER NOT NULL CHECK (created_at >= 0),
    updated_at        INTEGER NOT NULL CHECK (updated_at >= 0),
    CHECK ((disabled_reason IS NULL) = (disabled_since IS NULL)),
    CHECK ((plugin IS NULL) = (plugin_enabled IS NULL)),
    CHECK ((plugin IS NULL) = (plugin_settings IS NULL)),
    CHECK ((plugin IS NULL) = (plugin_on_failure IS NULL)),
    CHECK (plugin IS NOT NULL OR plugin_pinned IS NULL)
) STRICT;
CREATE UNIQUE INDEX endpoint_by_uid ON endpoint (application, uid);

-- attempts that delivered since the endpoint was created, counted up once a commit
CREATE TABLE endpoint_delivered (
    endpoint BLOB PRIMARY KEY NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE,
    attempts INTEGER NOT NULL CHECK (attempts > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_type (
    name        TEXT PRIMARY KEY NOT NULL CHECK (length(name) BETWEEN 1 AND 256),
    description TEXT NOT NULL,
    schemas     TEXT,
    archived    INTEGER NOT NULL CHECK (archived IN (0, 1)),
    grouped_as  TEXT CHECK (length(grouped_as) BETWEEN 1 AND 256),
    created_at  INTEGER NOT NULL CHECK (created_at >= 0),
    updated_at  INTEGER NOT NULL CHECK (updated_at >= 0)
) STRICT;

CREATE TABLE plugin_bytes (
    digest BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 32),
    bytes  BLOB NOT NULL
) STRICT;

CREATE TABLE plugin_version (
    number     INTEGER PRIMARY KEY NOT NULL,
    plugin     TEXT NOT NULL CHECK (length(plugin) BETWEEN 1 AND 64),
    digest     BLOB NOT NULL REFERENCES plugin_bytes (digest),
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    UNIQUE (plugin, digest)
) STRICT;
CREATE INDEX plugin_version_by_digest ON plugin_version (digest);

CREATE TABLE plugin_current (
    plugin TEXT PRIMARY KEY NOT NULL,
    digest BLOB NOT NULL,
    FOREIGN KEY (plugin, digest) REFERENCES plugin_version (plugin, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    hash        BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    scope       TEXT NOT NULL CHECK (scope IN ('admin', 'application', 'ingest')),
    application BLOB REFERENCES application (id),
    label       TEXT NOT NULL,
    created_at  INTEGER NOT NULL CHECK (created_at >= 0),
    CHECK ((scope = 'admin') = (application IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_by_application ON api_key (application) WHERE application IS NOT NULL;

-- answers that a repeat of their request gets again
CREATE TABLE remembered_answer (
    key         BLOB PRIMARY KEY NOT NULL CHECK (length(key) = 32),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    status      INTEGER NOT NULL CHECK (status BETWEEN 100 AND 999),
    body        BLOB NOT NULL,
    at          INTEGER NOT NULL CHECK (at >= 0)
) STRICT;
CREATE INDEX remembered_answer_by_age ON remembered_answer (at);

CREATE TABLE event (
    number       INTEGER PRIMARY KEY NOT NULL CHECK (number > 0 AND number % 32 = 0),
    id           BLOB NOT NULL CHECK (length(id) = 16),
    application  BLOB NOT NULL CHECK (length(application) = 16),
    -- how many numbers after the event's own are its deliveries'
    deliveries   INTEGER NOT NULL CHECK (deliveries >= 0),
    type         TEXT NOT NULL,
    uid          TEXT,
    fingerprint  BLOB CHECK ((uid IS NULL) = (fingerprint IS NULL)),
    -- names joined by commas, which no name has
    channels     TEXT,
    ordering_key TEXT,
    -- none for application/json
    content_type TEXT,
    body         BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_by_id ON event (id);
CREATE INDEX event_by_application ON event (application, id);
CREATE UNIQUE INDEX event_by_uid ON event (application, uid) WHERE uid IS NOT NULL;

-- idempotency keys of events; numbers grow with time
CREATE TABLE idempotency_key (
    number      INTEGER PRIMARY KEY NOT NULL,
    key         BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
    event       BLOB NOT NULL CHECK (length(event) = 16),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32)
) STRICT;

-- unfinished deliveries only
CREATE TABLE delivery (
    number        INTEGER PRIMARY KEY NOT NULL CHECK (number > 0),
    event         INTEGER NOT NULL,
    endpoint      BLOB NOT NULL CHECK (length(endpoint) = 16),
    due           INTEGER NOT NULL CHECK (due >= 0),
    order_key     INTEGER CHECK (order_key >= 0),
    attempts_made INTEGER NOT NULL CHECK (attempts_made >= 0),
    manual        INTEGER NOT NULL CHECK (manual IN (0, 1)),
    prepared      TEXT,
    prepared_body BLOB,
    CHECK (prepared IS NOT NULL OR prepared_body IS NULL)
) STRICT;
CREATE INDEX delivery_by_due ON delivery (endpoint, due);
CREATE INDEX delivery_by_order_key ON delivery (endpoint, order_key) WHERE order_key IS NOT NULL;
CREATE INDEX delivery_by_manual_event ON delivery (event) WHERE manual = 1;

-- deliveries that are not tried again; they keep their numbers
CREATE TABLE dead_letter (
    number        INTEGER PRIMARY KEY NOT NULL CHECK (number > 0),
    event         INTEGER NOT NULL,
    endpoint      BLOB NOT NULL CHECK (length(endpoint) = 16),
    attempts_made INTEGER NOT NULL CHECK (attempts_made >= 0),
    reason        TEXT NOT NULL CHECK (
        reason IN ('attempts_exhausted', 'endpoint_gone', 'rejected_by_plugin', 'transform_failed')
    )
) STRICT;
CREATE INDEX dead_letter_by_event ON dead_letter (event);
CREATE INDEX dead_letter_by_endpoint ON dead_letter (endpoint);

-- append-only until retention takes it with its event
CREATE TABLE attempt (
    id             BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    application    BLOB NOT NULL,
    event          BLOB NOT NULL,
    endpoint       BLOB NOT NULL,
    number         INTEGER NOT NULL CHECK (number >= 0),
    duration_us    INTEGER NOT NULL CHECK (duration_us >= 0),
    -- 0 delivered, 1 failed, 2 dropped, 3 split
    result         INTEGER NOT NULL CHECK (result IN (0, 1, 2, 3)),
    status         INTEGER CHECK (status BETWEEN 0 AND 65535),
    failure_code   TEXT,
    detail         TEXT,
    response       BLOB,
    manual         INTEGER NOT NULL CHECK (manual IN (0, 1)),
    plugin         BLOB,
    plugin_fuel    INTEGER,
    next_due       INTEGER,
    CHECK ((plugin IS NULL) = (plugin_fuel IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_by_event ON attempt (event);
CREATE INDEX attempt_by_endpoint ON attempt (endpoint);

-- removed tenants whose events retention still has to delete
CREATE TABLE removed_application (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16)
) STRICT, WITHOUT ROWID;
