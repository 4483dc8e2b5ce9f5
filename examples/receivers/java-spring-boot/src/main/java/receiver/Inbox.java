package receiver;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.stereotype.Repository;

/**
 * Events are stored before they are acknowledged, processed after it, and known again by their id.
 *
 * <p>Whoever processes an event first claims it, for longer than that takes. What a crash cut off, or an error ended, is
 * due again when the claim is over; two processes never have the same event at once.
 */
@Repository
public class Inbox {
    private static final Duration CLAIM = Duration.ofMinutes(5);
    /** Longer than anyone sends an event again. */
    private static final Duration KEEP = Duration.ofDays(30);

    private final JdbcTemplate db;

    public record Event(String id, byte[] body, long dueAt) {}

    public Inbox(JdbcTemplate db) {
        this.db = db;
    }

    /** Keeps an event, on disk when this returns. Answers whether it is new. */
    public boolean store(String id, byte[] body, Instant now) {
        String insert = "INSERT INTO inbox (id, body, received_at, due_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
        return db.update(insert, id, body, now.toEpochMilli(), now.toEpochMilli()) == 1;
    }

    /** An event that nobody else has claimed. */
    public Optional<Event> claim(Instant now) {
        while (true) {
            List<Event> due = db.query(
                "SELECT id, body, due_at FROM inbox WHERE due_at <= ? ORDER BY due_at LIMIT 1",
                (row, number) -> new Event(row.getString("id"), row.getBytes("body"), row.getLong("due_at")),
                now.toEpochMilli());
            if (due.isEmpty()) {
                return Optional.empty();
            }
            Event event = due.get(0);
            long until = now.plus(CLAIM).toEpochMilli();
            if (db.update("UPDATE inbox SET due_at = ? WHERE id = ? AND due_at = ?", until, event.id(), event.dueAt()) == 1) {
                return Optional.of(event);
            }
        }
    }

    public void finish(Event event) {
        db.update("UPDATE inbox SET body = NULL, due_at = NULL WHERE id = ?", event.id());
    }

    public void forgetOld(Instant now) {
        db.update("DELETE FROM inbox WHERE received_at < ?", now.minus(KEEP).toEpochMilli());
    }
}
