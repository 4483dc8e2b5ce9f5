//! Events of which a load may find that they are in memory still.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hookmill_core::event::Event;

/// Fewer entries than this are never looked through for those whose events are gone.
const SWEEP_ENTRIES_MIN: usize = 256;

/// Large events that loads brought, by their numbers, for as long as anybody holds them: an event that goes to many
/// endpoints is read once and in memory once.
#[derive(Debug, Default)]
pub(crate) struct SharedEvents {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    events: HashMap<i64, Weak<Event>>,
    sweep_at: usize,
}

impl SharedEvents {
    pub(super) fn get(&self, number: i64) -> Option<Arc<Event>> {
        self.lock().events.get(&number)?.upgrade()
    }

    /// Keeps the event for those who come next; of two that were read at once, the first.
    pub(super) fn share(&self, number: i64, event: Event) -> Arc<Event> {
        let mut known = self.lock();
        if let Some(first) = known.events.get(&number).and_then(Weak::upgrade) {
            return first;
        }
        if known.events.len() >= known.sweep_at.max(SWEEP_ENTRIES_MIN) {
            known.events.retain(|_, event| event.strong_count() > 0);
            known.sweep_at = 2 * known.events.len();
        }
        let event = Arc::new(event);
        known.events.insert(number, Arc::downgrade(&event));
        event
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it holds the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
