//! How many lines of one kind there are.
//!
//! A kind is one place in the code. Strangers can make some kinds as often as they like, so each has a number of lines a
//! second, and of those that name a client, one client has fewer. What is left out is told every few seconds. Lines below
//! `info` are for whoever asked for them, all of them.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::{Debug, Write as _};
use std::hash::{Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

use crate::world::stopwatch;

/// The field that names who caused a line.
const CLIENT: &str = "client";
const MESSAGE: &str = "message";
/// Lines of one kind: so many at once, and a second.
const OF_KIND: Rate = Rate { at_once: 200, per_second: 50 };
/// Of those, lines of one client.
const OF_CLIENT: Rate = Rate { at_once: 50, per_second: 5 };
/// Clients and kinds that are counted by themselves.
const CLIENTS_MAX: usize = 4096;

static LIMITS: Mutex<Option<Limits>> = Mutex::new(None);
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Lines that were left out since this was last asked.
pub(super) fn take_left_out() -> u64 {
    LEFT_OUT.swap(0, Ordering::Relaxed)
}

/// Lets so many lines through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit;

#[derive(Debug, Clone, Copy)]
struct Rate {
    at_once: u32,
    per_second: u32,
}

/// When all that went through is forgotten; a bucket that fills with time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    empty_at: Instant,
}

#[derive(Debug, Default)]
struct Limits {
    of_kinds: HashMap<Identifier, Bucket>,
    of_clients: HashMap<(Identifier, u64), Bucket>,
    left_out: HashMap<Identifier, LeftOut>,
}

#[derive(Debug)]
struct LeftOut {
    message: String,
    lines: u64,
}

impl<S> Filter<S> for Limit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    /// What is let through is decided for each event.
    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    /// Without one, the levels that nobody asked for would be looked at all the same.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let kind = event.metadata();
        if *kind.level() > Level::INFO {
            return true;
        }
        let mut limits = lock();
        let passes = limits.get_or_insert_default().passes(event, stopwatch());
        if !passes {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        passes
    }
}

impl Limits {
    fn passes(&mut self, event: &Event<'_>, now: Instant) -> bool {
        let kind = event.metadata().callsite();
        let passes = self.client_passes(event, now)
            && self.of_kinds.entry(kind.clone()).or_insert(Bucket { empty_at: now }).passes(OF_KIND, now);
        if !passes {
            let left_out = self.left_out.entry(kind).or_insert_with(|| {
                let mut message = Text { field: MESSAGE, text: String::new() };
                event.record(&mut message);
                LeftOut { message: message.text, lines: 0 }
            });
            left_out.lines += 1;
        }
        passes
    }

    fn client_passes(&mut self, event: &Event<'_>, now: Instant) -> bool {
        let kind = event.metadata();
        if kind.fields().field(CLIENT).is_none() {
            return true;
        }
        let mut client = Text { field: CLIENT, text: String::new() };
        event.record(&mut client);
        let mut hasher = DefaultHasher::new();
        client.text.hash(&mut hasher);
        let key = (kind.callsite(), hasher.finish());
        if self.of_clients.len() >= CLIENTS_MAX && !self.of_clients.contains_key(&key) {
            self.of_clients.retain(|_, bucket| bucket.empty_at > now);
            if self.of_clients.len() >= CLIENTS_MAX {
                return true;
            }
        }
        self.of_clients.entry(key).or_insert(Bucket { empty_at: now }).passes(OF_CLIENT, now)
    }
}

impl Bucket {
    fn passes(&mut self, rate: Rate, now: Instant) -> bool {
        let each = Duration::from_secs(1) / rate.per_second;
        let filled = self.empty_at.max(now) + each;
        let passes = filled <= now + each * rate.at_once;
        if passes {
            self.empty_at = filled;
        }
        passes
    }
}

/// The text of one field.
struct Text {
    field: &'static str,
    text: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == self.field {
            write!(self.text, "{value:?}").expect("a string takes all text");
        }
    }
}

/// Tells what was left out since this was last asked.
pub(crate) fn tell_left_out() {
    let left_out = lock().as_mut().map(|limits| std::mem::take(&mut limits.left_out));
    for LeftOut { message, lines } in left_out.unwrap_or_default().into_values() {
        tracing::warn!(lines, kind = message, "log lines were left out: too many of one kind came");
    }
}

fn lock() -> MutexGuard<'static, Option<Limits>> {
    LIMITS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_a_rate() {
        let now = stopwatch();
        let mut bucket = Bucket { empty_at: now };
        let rate = Rate { at_once: 5, per_second: 10 };
        let mut passed = |at: Instant| (0..100).filter(|_| bucket.passes(rate, at)).count();
        assert_eq!(passed(now), 5);
        assert_eq!(passed(now + Duration::from_millis(100)), 1);
        assert_eq!(passed(now + Duration::from_secs(60)), 5);
    }
}
