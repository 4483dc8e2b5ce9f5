//! Parameters of a query string, as the Svix API reads them.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use hookmill_app::history::PageRequest;
use hookmill_core::event::Name;
use hookmill_core::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use hookmill_core::port::store::PageFrom;
use hookmill_core::time::UnixMillis;
use http::request::Parts;

use crate::context::Context;
use crate::error::ApiError;
use crate::fields;
use crate::parameters::is_event_types;

/// The parameters of one request. Which there may be is in [`parameters`](crate::parameters).
pub(crate) struct Query(Vec<(String, String)>);

/// Which way a list goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

/// Where a reader is in a list: `id` goes on after it, `-id` goes back before it. Names may begin with a hyphen themselves,
/// but not with a tilde: `~-name` goes on after `-name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cursor<Id> {
    Start,
    Next(Id),
    Previous(Id),
}

impl<Id: Display> Display for Cursor<Id> {
    /// As it is read back.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => Ok(()),
            Self::Next(id) => {
                let text = id.to_string();
                let escape = if text.starts_with('-') { "~" } else { "" };
                write!(formatter, "{escape}{text}")
            }
            Self::Previous(id) => write!(formatter, "-{id}"),
        }
    }
}

impl FromRequestParts<Arc<Context>> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _context: &Arc<Context>) -> Result<Self, ApiError> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).map(into_owned).collect())
    }

    /// How many items a page may hold.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(PAGE_ITEMS_DEFAULT) };
        let limit = text.parse().ok().filter(|limit| (1..=PAGE_ITEMS_MAX).contains(limit));
        limit.ok_or_else(|| {
            ApiError::query("limit", "limit_invalid", format!("a page has 1 to {PAGE_ITEMS_MAX} items"))
        })
    }

    pub(crate) fn cursor<Id: FromStr<Err: Display>>(&self) -> Result<Cursor<Id>, ApiError> {
        let Some(text) = self.get("iterator") else { return Ok(Cursor::Start) };
        let parse = |text: &str| {
            text.parse().map_err(|error| ApiError::query("iterator", "iterator_invalid", format!("{error}")))
        };
        match (text.strip_prefix('-'), text.strip_prefix('~')) {
            (Some(text), _) => parse(text).map(Cursor::Previous),
            (None, Some(text)) => parse(text).map(Cursor::Next),
            (None, None) => parse(text).map(Cursor::Next),
        }
    }

    pub(crate) fn order(&self, default: Order) -> Result<Order, ApiError> {
        match self.get("order") {
            None => Ok(default),
            Some("ascending") => Ok(Order::Ascending),
            Some("descending") => Ok(Order::Descending),
            Some(_) => {
                Err(ApiError::query("order", "order_invalid", "an order is `ascending` or `descending`"))
            }
        }
    }

    /// Where a page of what happened begins. With `after` alone it is the page just after that moment, as in the
    /// Svix API; `first_of` makes the lowest id of a moment.
    pub(crate) fn page<Id: FromStr<Err: Display>>(
        &self,
        first_of: impl Fn(UnixMillis) -> Id,
    ) -> Result<PageRequest<Id>, ApiError> {
        let from = match (self.cursor()?, self.time("before")?, self.time("after")?) {
            (Cursor::Next(id), _, _) => PageFrom::OlderThan(id),
            (Cursor::Previous(id), _, _) => PageFrom::NewerThan(id),
            (Cursor::Start, None, Some(after)) => PageFrom::NewerThan(first_of(after)),
            (Cursor::Start, _, _) => PageFrom::Newest,
        };
        Ok(PageRequest { from, limit: self.limit()? })
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.get(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(ApiError::query(name, "flag_invalid", "this is `true` or `false`")),
        }
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<UnixMillis>, ApiError> {
        let parse = |text: &str| {
            fields::parse_time(text).map_err(|detail| ApiError::query(name, "time_invalid", detail))
        };
        self.get(name).map(parse).transpose()
    }

    pub(crate) fn name(&self, name: &str) -> Result<Option<Name>, ApiError> {
        let parse = |text: &str| {
            text.parse::<Name>().map_err(|error| ApiError::query(name, "name_invalid", error.to_string()))
        };
        self.get(name).map(parse).transpose()
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u16>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| ApiError::query(name, "number_invalid", "this is a number"))
        };
        self.get(name).map(parse).transpose()
    }

    /// `event_types=a,b`, `event_types=a&event_types=b`, `event_types[]=a` and `event_types[0]=a` alike.
    pub(crate) fn event_types(&self) -> Result<Vec<Name>, ApiError> {
        let wanted = self.0.iter().filter(|(name, _)| is_event_types(name));
        let names = wanted.flat_map(|(_, value)| value.split(',')).filter(|name| !name.is_empty());
        names
            .map(|name| {
                name.parse::<Name>()
                    .map_err(|error| ApiError::query("event_types", "event_type_invalid", error.to_string()))
            })
            .collect()
    }

    /// The names of all that was given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn into_owned((name, value): (Cow<'_, str>, Cow<'_, str>)) -> (String, String) {
    (name.into_owned(), value.into_owned())
}
