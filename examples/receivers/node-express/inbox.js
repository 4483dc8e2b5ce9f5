// Events are stored before they are acknowledged, processed after it, and known again by their id.
//
// Whoever processes an event first claims it, for longer than that takes. What a crash cut off, or an error ended, is
// due again when the claim is over; two processes never have the same event at once.

const { createHash } = require("node:crypto");
const Database = require("libsql"); // SQLite behind the interface of better-sqlite3

const CLAIM_MS = 300_000;
const KEEP_MS = 30 * 24 * 3600_000; // longer than anyone sends an event again

const db = new Database(process.env.DATABASE ?? "webhooks.db", { timeout: 5000 });
db.exec(`
  CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, body BLOB, received_at INTEGER, due_at INTEGER);
  CREATE INDEX IF NOT EXISTS inbox_received_at ON inbox (received_at);
  CREATE INDEX IF NOT EXISTS inbox_due_at ON inbox (due_at);
`);
const insert = db.prepare("INSERT INTO inbox VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
const claim = db.prepare(`
  UPDATE inbox SET due_at = ? WHERE id = (SELECT id FROM inbox WHERE due_at <= ? ORDER BY due_at LIMIT 1)
  RETURNING id, body
`);
const finish = db.prepare("UPDATE inbox SET body = NULL, due_at = NULL WHERE id = ?");
const forget = db.prepare("DELETE FROM inbox WHERE received_at < ?");

// Keeps an event, on disk when this returns. Answers whether it is new.
function store(headers, body) {
  // Senders without this header are known by the body, which is what they sign.
  const id = headers["webhook-id"] || createHash("sha256").update(body).digest("hex");
  const isNew = insert.run(id, body, Date.now(), Date.now()).changes === 1;
  if (!isNew) console.log(`repeat ${id}`);
  return isNew;
}

// Calls `processEvent(id, body)` for each event. Answers a function to be called when there may be a new one.
function startWorker(processEvent) {
  let working = null;
  const wake = () => {
    working ??= processDue(processEvent)
      .catch(console.error)
      .finally(() => { working = null; });
  };
  setInterval(wake, CLAIM_MS);
  wake();
  return wake;
}

async function processDue(processEvent) {
  for (let event; (event = claim.get(Date.now() + CLAIM_MS, Date.now())); ) {
    try {
      await processEvent(event.id, event.body);
      finish.run(event.id);
    } catch (error) {
      console.error(error);
    }
  }
  forget.run(Date.now() - KEEP_MS);
}

module.exports = { store, startWorker };
