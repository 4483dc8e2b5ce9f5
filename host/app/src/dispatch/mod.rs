//! The second bow: from a committed delivery to its receiver.
//!
//! Who is who: the [`DispatcherHandle`] is what the rest of the program has of it; it never waits. The
//! [`Dispatcher`] is one task that owns the [scheduler](hookmill_core::schedule): it carries out the scheduler's
//! actions and tells it what came of them. Each started delivery is a task of its own ([`attempt`]) that transforms,
//! signs, sends and decides; what came of several deliveries goes to the store in one batch.
//!
//! A message to the dispatcher is a hint, never the only copy of anything: whatever it says is in the store. When
//! the inbox is full, the handle drops the hint and notes that one was lost, and the dispatcher asks the store for
//! its backlog, which is also what it does when it starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hookmill_core::id::{DeliveryId, EndpointId};
use hookmill_core::port::store::{Backlog, Loaded, PendingDelivery};
use hookmill_core::time::UnixMillis;
use tokio::sync::mpsc;

use crate::ingest::AcceptingMemory;

mod attempt;
mod dispatcher;
mod held;
#[cfg(test)]
mod tests;
mod trials;

pub(crate) use attempt::EndpointEnd;
pub use dispatcher::{Dispatcher, DispatcherParts};

/// Messages that may wait for the dispatcher.
const INBOX_MAX: usize = 16_384;

/// Makes a dispatcher's two ends.
#[must_use]
pub fn channel() -> (DispatcherHandle, DispatcherInbox) {
    let (sender, receiver) = mpsc::channel(INBOX_MAX);
    let hint_lost = Arc::new(AtomicBool::new(false));
    let handle = DispatcherHandle { sender: sender.clone(), hint_lost: Arc::clone(&hint_lost) };
    (handle, DispatcherInbox { sender, receiver, hint_lost })
}

/// Tells the dispatcher what happened elsewhere. Never waits.
#[derive(Debug, Clone)]
pub struct DispatcherHandle {
    sender: mpsc::Sender<Message>,
    hint_lost: Arc<AtomicBool>,
}

impl DispatcherHandle {
    /// These deliveries were committed just now; the lease is for their event.
    pub fn appended(&self, deliveries: Vec<PendingDelivery>, memory: AcceptingMemory) {
        if !deliveries.is_empty() {
            self.hint(Message::Appended(deliveries, memory));
        }
    }

    /// Deliveries of this endpoint that a person or a program asked for were committed just now, the earliest due at this
    /// moment. They go through an open breaker as its probe.
    pub(crate) fn requested(&self, endpoint: EndpointId, earliest_due: UnixMillis) {
        self.hint(Message::Requested(Backlog { endpoint, earliest_due }));
    }

    /// This endpoint was added, changed or removed.
    pub fn endpoint_changed(&self, endpoint: EndpointId) {
        self.hint(Message::EndpointChanged(endpoint));
    }

    fn hint(&self, message: Message) {
        if self.sender.try_send(message).is_err() {
            self.hint_lost.store(true, Ordering::Release);
        }
    }
}

/// What a [`Dispatcher`] is made of, beside the ports.
#[derive(Debug)]
pub struct DispatcherInbox {
    sender: mpsc::Sender<Message>,
    receiver: mpsc::Receiver<Message>,
    hint_lost: Arc<AtomicBool>,
}

/// What the dispatcher is told.
#[derive(Debug)]
enum Message {
    /// Committed just now; the memory of their event is counted elsewhere from here on.
    Appended(Vec<PendingDelivery>, AcceptingMemory),
    /// Committed just now, and still in the store only.
    Requested(Backlog),
    /// Added, changed or removed.
    EndpointChanged(EndpointId),
    /// So much was made for a delivery that is under way, by a plugin or a composition.
    Made { endpoint: EndpointId, delivery: DeliveryId, bytes: usize },
    /// A delivery's task is done.
    Ran(attempt::Run),
    /// A read of the store is done; none where it failed.
    Loaded(EndpointId, Option<Loaded>),
    /// The backlog was read; none where that failed.
    Backlog(Option<Vec<Backlog>>),
    /// The completions of these deliveries are committed.
    Settled(Vec<(EndpointId, DeliveryId)>),
}
