-- what the steady clock showed at the latest commit, to the second
CREATE TABLE steady_time (
    only INTEGER PRIMARY KEY NOT NULL CHECK (only = 1),
    at   INTEGER NOT NULL CHECK (at >= 0)
) STRICT;

-- when a key was first used, in steady time; until now it was read of the event's id, whose first six bytes are the time
ALTER TABLE idempotency_key ADD COLUMN at INTEGER NOT NULL DEFAULT 0 CHECK (at >= 0);
UPDATE idempotency_key SET at = (
    SELECT sum((instr('0123456789ABCDEF', substr(hex(event), place, 1)) - 1) * (1 << (4 * (12 - place))))
    FROM (
        SELECT 1 AS place UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6
        UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9 UNION ALL SELECT 10 UNION ALL SELECT 11 UNION ALL SELECT 12
    )
);
