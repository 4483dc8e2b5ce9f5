CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, body BLOB, received_at INTEGER, due_at INTEGER);
CREATE INDEX IF NOT EXISTS inbox_received_at ON inbox (received_at);
CREATE INDEX IF NOT EXISTS inbox_due_at ON inbox (due_at);
