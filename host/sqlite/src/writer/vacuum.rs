//! Giving space back to the disk.
//!
//! What retention deletes leaves free pages, which later events fill again; so some stay. What is more than that is cut
//! off the file's end in small steps, when the writer has nothing else to do and after each step of retention.

use rusqlite::Connection;

use crate::error::DbError;

/// Free pages that stay: room for some thousand events.
const FREE_PAGES_KEPT: i64 = 1024;
/// One free page in so many used ones stays besides.
const FREE_SHARE_KEPT: i64 = 8;
/// Pages that one step gives back.
const STEP_PAGES: i64 = 512;

/// Gives some pages back where too many are free; answers whether there are more.
pub(super) fn step(db: &Connection) -> Result<bool, DbError> {
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, free) = (pragma("page_count")?, pragma("freelist_count")?);
    let over = free - FREE_PAGES_KEPT - (pages - free) / FREE_SHARE_KEPT;
    if over <= 0 {
        return Ok(false);
    }
    let pages = over.min(STEP_PAGES);
    // Each page is a row of the answer: it is given back when it is asked for.
    let mut statement = db.prepare(&format!("/* vacuum::step */ PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(over > pages)
}
