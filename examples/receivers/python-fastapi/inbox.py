"""Events are stored before they are acknowledged, processed after it, and known again by their id.

Whoever processes an event first claims it, for longer than that takes. What a crash cut off, or an error ended, is due
again when the claim is over; two processes never have the same event at once.
"""

import hashlib
import os
import sqlite3
import threading
import time
import traceback
from contextlib import closing

DATABASE = os.environ.get("DATABASE", "webhooks.db")
CLAIM_SECONDS = 300
KEEP_SECONDS = 30 * 24 * 3600  # longer than anyone sends an event again

wake = threading.Event()


def store(headers, body):
    """Keeps an event, on disk when this returns. Answers whether it is new."""
    # Senders without this header are known by the body, which is what they sign.
    event_id = headers.get("webhook-id") or hashlib.sha256(body).hexdigest()
    now = time.time()
    insert = "INSERT INTO inbox VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"
    is_new = bool(execute(insert, event_id, body, now, now))
    if not is_new:
        print(f"repeat {event_id}", flush=True)
    wake.set()
    return is_new


def start_worker(process):
    """Calls `process(event_id, body)` for each event, in a thread of its own."""
    execute("CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, body BLOB, received_at REAL, due_at REAL)")
    execute("CREATE INDEX IF NOT EXISTS inbox_received_at ON inbox (received_at)")
    execute("CREATE INDEX IF NOT EXISTS inbox_due_at ON inbox (due_at)")
    wake.set()
    threading.Thread(target=work, args=[process], daemon=True).start()


def work(process):
    while True:
        wake.wait(CLAIM_SECONDS)
        wake.clear()
        try:
            process_due(process)
        except sqlite3.Error:
            traceback.print_exc()


def process_due(process):
    claim = """UPDATE inbox SET due_at = ? WHERE id = (SELECT id FROM inbox WHERE due_at <= ? ORDER BY due_at LIMIT 1)
        RETURNING id, body"""
    while claimed := execute(claim, time.time() + CLAIM_SECONDS, time.time()):
        [(event_id, body)] = claimed
        try:
            process(event_id, body)
            execute("UPDATE inbox SET body = NULL, due_at = NULL WHERE id = ?", event_id)
        except Exception:
            traceback.print_exc()
    execute("DELETE FROM inbox WHERE received_at < ?", time.time() - KEEP_SECONDS)


def execute(statement, *values):
    with closing(sqlite3.connect(DATABASE)) as db, db:
        return db.execute(statement, values).fetchall()
