<?php
// Events are stored before they are acknowledged, processed after it, and known again by their id.
//
// Whoever processes an event first claims it, for longer than that takes. What a crash cut off, or an error ended, is
// due again when the claim is over; two processes never have the same event at once.

const CLAIM_SECONDS = 300;
const KEEP_SECONDS = 30 * 24 * 3600; // longer than anyone sends an event again

// Keeps an event, on disk when this returns. Answers whether it is new.
function store(string $body): bool
{
    // Senders without this header are known by the body, which is what they sign.
    $id = request_header('webhook-id') ?: hash('sha256', $body);
    $insert = 'INSERT INTO inbox VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id';
    $isNew = execute($insert, $id, $body, time(), time()) !== [];
    if (!$isNew) {
        log_line("repeat $id");
    }
    return $isNew;
}

// Calls `$process($id, $body)` for each event that nobody else has claimed.
function process_due(callable $process): void
{
    $claim = 'UPDATE inbox SET due_at = ? WHERE id = (SELECT id FROM inbox WHERE due_at <= ? ORDER BY due_at LIMIT 1)
        RETURNING id, body';
    while ($claimed = execute($claim, time() + CLAIM_SECONDS, time())) {
        [$event] = $claimed;
        try {
            $process($event['id'], $event['body']);
            execute('UPDATE inbox SET body = NULL, due_at = NULL WHERE id = ?', $event['id']);
        } catch (Throwable $e) {
            error_log("Webhook processing error: $e");
        }
    }
    execute('DELETE FROM inbox WHERE received_at < ?', time() - KEEP_SECONDS);
}

function execute(string $statement, string|int ...$values): array
{
    static $db = null;
    if ($db === null) {
        $db = new PDO('sqlite:' . (getenv('DATABASE') ?: 'webhooks.db'));
        $db->exec('
            CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, body BLOB, received_at INTEGER, due_at INTEGER);
            CREATE INDEX IF NOT EXISTS inbox_received_at ON inbox (received_at);
            CREATE INDEX IF NOT EXISTS inbox_due_at ON inbox (due_at);
        ');
    }
    $prepared = $db->prepare($statement);
    $prepared->execute($values);
    return $prepared->fetchAll(PDO::FETCH_ASSOC);
}

function log_line(string $line): void
{
    file_put_contents('php://stdout', "$line\n");
}
