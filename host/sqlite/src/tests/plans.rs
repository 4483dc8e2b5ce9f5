//! How SQLite answers the hot queries: by index, in order, without sorting.

use rusqlite::Connection;

use super::Directory;
use crate::{connection, reader};

fn plan(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let parameters = vec![rusqlite::types::Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get(3)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn hot_queries_neither_scan_nor_sort() {
    let directory = Directory::new();
    let db = connection::open_writer(&directory.next_file()).unwrap();
    let queries = reader::load::QUERIES.iter().chain(&reader::history::QUERIES);
    for sql in queries.chain(&crate::row::task::QUERIES[..3]) {
        for step in plan(&db, sql) {
            // The recursion's own rows are read one after the other; there is one for each endpoint.
            let is_scan =
                step.starts_with("SCAN") && !step.contains("SCAN head") && !step.contains("CONSTANT ROW");
            assert!(!is_scan && !step.contains("TEMP B-TREE"), "{sql}\n{step}");
        }
    }
}

#[test]
fn hot_queries_use_the_index_that_was_made_for_them() {
    let directory = Directory::new();
    let db = connection::open_writer(&directory.next_file()).unwrap();
    let check = |sql: &str, index: &str| {
        let steps = plan(&db, sql);
        assert!(steps.iter().any(|step| step.contains(index)), "{sql}\n{steps:#?}");
    };
    let load = reader::load::QUERIES;
    check(load[0], "delivery_by_due (endpoint=? AND due<?)");
    check(load[1], "delivery_by_due (endpoint=? AND due<?)");
    check(load[2], "delivery_by_order_key (endpoint=? AND order_key=?)");
    check(load[3], "delivery_by_due (endpoint=? AND due>?)");
    check(load[5], "delivery_by_due (endpoint>?)");
    let history = reader::history::QUERIES;
    check(history[1], "event_by_uid (application=? AND uid=?)");
    check(history[2], "event_by_application (application=? AND id>? AND id<?)");
    check(history[0], "event_by_application (application=? AND id=?)");
    check(history[4], "USING PRIMARY KEY (event=? AND id>? AND id<?)");
    check(history[6], "attempt_by_endpoint (endpoint=? AND id>? AND id<?)");
    check(history[9], "delivery USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
    check(history[10], "delivery_by_manual_event");
    check(history[11], "dead_letter_by_event");
    check(history[8], "USING PRIMARY KEY (event=? AND id=?)");
    check(history[12], "USING INTEGER PRIMARY KEY (rowid>?)");
    check(history[13], "COVERING INDEX dead_letter_by_endpoint (endpoint=?)");
    check(history[15], "dead_letter_by_endpoint (endpoint=? AND rowid>?)");
    let task = crate::row::task::QUERIES;
    check(task[1], "background_task_by_application (application=? AND id>? AND id<?)");
    check(task[3], "background_task USING PRIMARY KEY (id>? AND id<?)");
    check(history[14], "delivery_by_due (endpoint=? AND ");
}

/// SQLite checks a value against a list of more than two by making a table of the list, at each insertion.
#[test]
fn hot_insertions_make_no_tables() {
    let directory = Directory::new();
    let db = connection::open_writer(&directory.next_file()).unwrap();
    for table in ["event", "delivery", "attempt", "idempotency_key"] {
        let columns: Vec<String> = {
            let mut statement =
                db.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let places = vec!["?"; columns.len()].join(", ");
        let sql = format!("EXPLAIN INSERT INTO {table} ({}) VALUES ({places})", columns.join(", "));
        let mut statement = db.prepare(&sql).unwrap();
        let parameters = vec![rusqlite::types::Null; columns.len()];
        let rows = statement
            .query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>(1))
            .unwrap();
        assert!(rows.map(Result::unwrap).all(|step| step != "OpenEphemeral"), "{table}");
    }
}
