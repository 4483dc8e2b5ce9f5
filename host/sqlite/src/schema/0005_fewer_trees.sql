-- Every event and every attempt was written into three trees; two of them answer everything that is asked.

-- by event, which is how a message's history is read and how retention deletes it; by endpoint through the index
CREATE TABLE attempt_by_event_and_id (
    id             BLOB NOT NULL CHECK (length(id) = 16),
    application    BLOB NOT NULL,
    event          BLOB NOT NULL,
    endpoint       BLOB NOT NULL,
    number         INTEGER NOT NULL CHECK (number >= 0),
    duration_us    INTEGER NOT NULL CHECK (duration_us >= 0),
    -- 0 delivered, 1 failed, 2 dropped, 3 split; a list of more than two would be built as a table at each insertion
    result         INTEGER NOT NULL CHECK (result BETWEEN 0 AND 3),
    status         INTEGER CHECK (status BETWEEN 0 AND 65535),
    failure_code   TEXT,
    detail         TEXT,
    response       BLOB,
    manual         INTEGER NOT NULL CHECK (manual IN (0, 1)),
    plugin         BLOB,
    plugin_fuel    INTEGER,
    next_due       INTEGER,
    CHECK ((plugin IS NULL) = (plugin_fuel IS NULL)),
    PRIMARY KEY (event, id)
) STRICT, WITHOUT ROWID;
INSERT INTO attempt_by_event_and_id (
    id, application, event, endpoint, number, duration_us, result, status, failure_code, detail, response, manual,
    plugin, plugin_fuel, next_due
) SELECT
    id, application, event, endpoint, number, duration_us, result, status, failure_code, detail, response, manual,
    plugin, plugin_fuel, next_due
FROM attempt ORDER BY event, id;
DROP TABLE attempt;
ALTER TABLE attempt_by_event_and_id RENAME TO attempt;
CREATE INDEX attempt_by_endpoint ON attempt (endpoint, id);

-- whoever looks an event up knows its tenant; retention walks the numbers, which grow with time
DROP INDEX event_by_id;
DROP INDEX event_by_application;
CREATE UNIQUE INDEX event_by_application ON event (application, id);
