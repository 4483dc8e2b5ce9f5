-- A receiver's address can be its secret: it moves into endpoint.secrets, and answers that name it are sealed. Rows of
-- earlier versions are sealed by the program when it first finds no row here, since SQL has no keys.
ALTER TABLE remembered_answer ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0 CHECK (sealed IN (0, 1));

CREATE TABLE installation (
    id        INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    -- a constant under the installation's key: another key does not open it
    key_check BLOB NOT NULL,
    -- the time that retention trusted last
    noted_at  INTEGER CHECK (noted_at >= 0)
) STRICT;
