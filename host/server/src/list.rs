//! Lists as the Svix API answers them, and pages of what is configured.

use std::fmt::Display;
use std::ops::Bound;

use axum::response::Response;
use hookmill_app::history::Page;
use hookmill_core::persistent::Map;
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer;
use crate::query::{Cursor, Order};

/// `ListResponse` of the Svix API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListOut<T> {
    pub(crate) data: Vec<T>,
    /// Where the next page begins; `null` where the list is empty.
    pub(crate) iterator: Option<String>,
    /// Where the page before begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prev_iterator: Option<String>,
    pub(crate) done: bool,
}

/// Answers a page of what happened.
pub(crate) fn page<Id: Display, T: Serialize>(page: Page<Id, T>) -> Response {
    let list = ListOut {
        iterator: page.next.map(|id| Cursor::Next(id).to_string()),
        prev_iterator: page.previous.map(|id| Cursor::Previous(id).to_string()),
        done: page.done,
        data: page.items,
    };
    answer::json(StatusCode::OK, &list)
}

/// An item of a page as JSON text: a `Value` would not keep all digits of the numbers in it.
pub(crate) fn item<T: Serialize>(shown: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(shown).expect("answers have string keys and finite numbers")
}

/// Answers a page of what is configured: the entries that pass, in the order of their keys.
pub(crate) fn entries<K: Ord + Clone + Display, V, T: Serialize>(
    entries: &Map<K, V>,
    cursor: Cursor<K>,
    order: Order,
    limit: usize,
    admits: impl Fn(&V) -> bool,
    show: impl Fn(&V) -> T,
) -> Response {
    let backwards = matches!(cursor, Cursor::Previous(_));
    let ascending = (order == Order::Ascending) != backwards;
    let range = match cursor {
        Cursor::Start => (Bound::Unbounded, Bound::Unbounded),
        Cursor::Next(key) | Cursor::Previous(key) if ascending => (Bound::Excluded(key), Bound::Unbounded),
        Cursor::Next(key) | Cursor::Previous(key) => (Bound::Unbounded, Bound::Excluded(key)),
    };
    let range = entries.range(range).filter(|(_, value)| admits(value));
    let mut found: Vec<(&K, &V)> =
        if ascending { range.take(limit + 1).collect() } else { range.rev().take(limit + 1).collect() };
    let done = found.len() <= limit;
    found.truncate(limit);
    if backwards {
        found.reverse();
    }
    let list = ListOut {
        iterator: found.last().map(|(key, _)| Cursor::Next(key).to_string()),
        prev_iterator: found.first().map(|(key, _)| Cursor::Previous(key).to_string()),
        done,
        data: found.into_iter().map(|(_, value)| show(value)).collect(),
    };
    answer::json(StatusCode::OK, &list)
}
