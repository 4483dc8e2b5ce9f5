-- when a dead letter's last attempt began; those of earlier versions are as old as their event
ALTER TABLE dead_letter ADD COLUMN died_at INTEGER CHECK (died_at >= 0);
-- a letter ends when its event is sent again by hand; until now it stayed, whatever came of that
DELETE FROM dead_letter WHERE EXISTS (
    SELECT 1 FROM event JOIN attempt ON attempt.event = event.id
    WHERE event.number = dead_letter.event AND +attempt.endpoint = dead_letter.endpoint
        AND attempt.manual = 1 AND attempt.result <> 1
);

-- what is sent again in the background, and how far that came
CREATE TABLE background_task (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    kind        TEXT NOT NULL CHECK (kind IN ('endpoint.recover', 'endpoint.replay')),
    application BLOB NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    endpoint    BLOB NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE,
    since       INTEGER NOT NULL CHECK (since >= 0),
    until       INTEGER NOT NULL CHECK (until >= 0),
    status      TEXT NOT NULL CHECK (status IN ('running', 'finished', 'failed')),
    -- where the walk is: a number of dead_letter, or an id of event
    dead_letter INTEGER CHECK (dead_letter >= 0),
    event       BLOB CHECK (length(event) = 16),
    sent        INTEGER NOT NULL CHECK (sent >= 0),
    updated_at  INTEGER NOT NULL CHECK (updated_at >= 0),
    CHECK (dead_letter IS NULL OR event IS NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX background_task_by_application ON background_task (application, id);
CREATE INDEX background_task_by_endpoint ON background_task (endpoint, id);
CREATE UNIQUE INDEX background_task_running ON background_task (endpoint) WHERE status = 'running';
