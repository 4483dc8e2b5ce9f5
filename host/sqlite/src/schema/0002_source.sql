-- schema version 2: sources

CREATE TABLE source (
    id                 BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name               TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    application        BLOB NOT NULL REFERENCES application (id),
    description        TEXT NOT NULL,
    enabled            INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    -- none for a source that verifies nothing
    verifier           TEXT,
    -- what a user said of an HMAC
    scheme             TEXT CHECK (json_type(scheme) = 'object'),
    -- of the verifier and for the plugin, sealed
    secrets            BLOB NOT NULL,
    public_url         TEXT,
    replay_window_secs INTEGER NOT NULL CHECK (replay_window_secs BETWEEN 1 AND 86400),
    -- `provider`, `off`, `header:NAME` or `pointer:POINTER`
    dedupe             TEXT NOT NULL,
    success_status     INTEGER NOT NULL CHECK (success_status BETWEEN 200 AND 299),
    -- `source`, `constant:NAME`, `header:NAME` or `pointer:POINTER`; none where a plugin makes the events
    event_type         TEXT,
    plugin             TEXT,
    plugin_pinned      BLOB CHECK (length(plugin_pinned) = 32),
    plugin_settings    TEXT,
    created_at         INTEGER NOT NULL CHECK (created_at >= 0),
    updated_at         INTEGER NOT NULL CHECK (updated_at >= 0),
    CHECK ((verifier IS 'hmac') = (scheme IS NOT NULL)),
    CHECK ((plugin IS NULL) = (event_type IS NOT NULL)),
    CHECK ((plugin IS NULL) = (plugin_settings IS NULL)),
    CHECK (plugin IS NOT NULL OR plugin_pinned IS NULL)
) STRICT;
CREATE INDEX source_by_application ON source (application);
