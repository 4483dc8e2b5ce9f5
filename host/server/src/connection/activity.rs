//! What one connection is doing, and since when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// For how long a client neither sends nor takes before its connection makes way for another's.
const STALLED_MIN: Duration = Duration::from_secs(1);

/// What one connection is doing.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
    evicted: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// Requests whose head came and whose answer was not given to the protocol yet.
    requests: Vec<(u64, Stage)>,
    next: u64,
    /// When the last request ended, or the last bytes of an answer were taken.
    quiet_since: Instant,
    /// Bytes wait to be taken.
    is_writing: bool,
}

/// Why a connection can make way for a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dispensable {
    /// No request is in progress on it.
    Idle,
    /// All of its requests wait for its client, which neither sends nor takes.
    Stalled,
}

/// Who has to do something next, and since when.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The client: the rest of its body. Whoever reads that has deadlines of its own.
    Receiving(Instant),
    /// We.
    Handled,
    /// The client: take the answer.
    Answering(Instant),
}

/// One request on a connection. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct RequestOn {
    activity: Arc<Activity>,
    id: u64,
}

/// A request on a connection, told of by what does not keep it in progress.
#[derive(Debug, Clone)]
pub(crate) struct InProgress {
    activity: Arc<Activity>,
    id: u64,
}

impl Activity {
    pub(crate) fn new(now: Instant) -> Arc<Self> {
        let state = State { requests: Vec::new(), next: 0, quiet_since: now, is_writing: false };
        Arc::new(Self { state: Mutex::new(state), evicted: CancellationToken::new() })
    }

    /// A request's head came.
    pub(crate) fn begin(self: &Arc<Self>, has_body: bool) -> RequestOn {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        let stage = if has_body { Stage::Receiving(Instant::now()) } else { Stage::Handled };
        state.requests.push((id, stage));
        drop(state);
        RequestOn { activity: Arc::clone(self), id }
    }

    /// The client took bytes; whether more wait for it.
    pub(crate) fn wrote(&self, is_writing: bool) {
        let mut state = self.lock();
        state.is_writing = is_writing;
        state.quiet_since = state.quiet_since.max(Instant::now());
    }

    /// Since when nothing has been in progress and nothing been taken; none while something is.
    pub(crate) fn quiet_since(&self) -> Option<Instant> {
        let state = self.lock();
        state.requests.is_empty().then_some(state.quiet_since)
    }

    /// When the connection is to be closed if nothing happens until then.
    pub(crate) fn deadline(&self, idle_max: Duration, answer_max: Duration) -> Option<Instant> {
        let state = self.lock();
        if state.requests.is_empty() {
            // While bytes wait, the deadline of the write counts.
            return (!state.is_writing).then(|| state.quiet_since + idle_max);
        }
        let answering = state.requests.iter().filter_map(|(_, stage)| match stage {
            Stage::Answering(since) => Some(*since),
            Stage::Receiving(_) | Stage::Handled => None,
        });
        answering.min().map(|since| since + answer_max)
    }

    /// How early the connection makes way for a newcomer: the lesser, the earlier. None while we are at work for it, or its
    /// client sends and takes.
    pub(crate) fn makes_way(&self, now: Instant) -> Option<(Dispensable, Instant)> {
        let state = self.lock();
        if state.requests.is_empty() {
            return Some((Dispensable::Idle, state.quiet_since));
        }
        let mut latest = None;
        for (_, stage) in &state.requests {
            match stage {
                Stage::Handled => return None,
                Stage::Receiving(since) | Stage::Answering(since) => latest = latest.max(Some(*since)),
            }
        }
        latest.filter(|since| now - *since >= STALLED_MIN).map(|since| (Dispensable::Stalled, since))
    }

    /// Ends the connection to make room, if it still makes way as it did.
    pub(crate) fn evict(&self, as_it_did: (Dispensable, Instant), now: Instant) -> bool {
        let makes_way = self.makes_way(now) == Some(as_it_did);
        if makes_way {
            self.evicted.cancel();
        }
        makes_way
    }

    /// Waits until room is needed.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    fn set(&self, id: u64, stage: Stage) {
        // HTTP/1 has one at a time, HTTP/2 a hundred: they are looked through.
        if let Some((_, present)) = self.lock().requests.iter_mut().find(|(request, _)| *request == id) {
            *present = stage;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestOn {
    /// The client has to take the answer, or more of it.
    pub(crate) fn answering(&self) {
        self.activity.set(self.id, Stage::Answering(Instant::now()));
    }

    pub(crate) fn progress(&self) -> InProgress {
        InProgress { activity: Arc::clone(&self.activity), id: self.id }
    }
}

impl InProgress {
    /// A part of the body came, and more is to come.
    pub(crate) fn received(&self) {
        self.activity.set(self.id, Stage::Receiving(Instant::now()));
    }

    /// All of the body came, or nothing more of it does.
    pub(crate) fn is_handled(&self) {
        self.activity.set(self.id, Stage::Handled);
    }
}

impl Drop for RequestOn {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        if let Some(place) = state.requests.iter().position(|(request, _)| *request == self.id) {
            state.requests.swap_remove(place);
        }
        state.quiet_since = state.quiet_since.max(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);
    const ANSWER: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_the_clients() {
        let start = Instant::now();
        let activity = Activity::new(start);
        let deadline = || activity.deadline(IDLE, ANSWER).map(|at| at - start);
        let secs = |secs| Some(Duration::from_secs(secs));
        assert_eq!(deadline(), secs(30));
        let request = activity.begin(true);
        assert_eq!(deadline(), None, "its reader has one");
        request.progress().is_handled();
        tokio::time::advance(Duration::from_secs(100)).await;
        let makes_way = || activity.makes_way(Instant::now());
        assert_eq!((deadline(), makes_way()), (None, None), "it is our turn");
        request.answering();
        assert_eq!(deadline(), secs(110));
        let second = activity.begin(false);
        tokio::time::advance(Duration::from_secs(5)).await;
        second.answering();
        assert_eq!(deadline(), secs(110), "a second answer does not prolong the first");
        assert_eq!(makes_way(), None, "it may be read at this moment");
        tokio::time::advance(STALLED_MIN).await;
        assert_eq!(makes_way().map(|(why, _)| why), Some(Dispensable::Stalled));
        drop((request, second));
        assert_eq!(deadline(), secs(136));
        activity.wrote(true);
        assert_eq!(deadline(), None, "the write has one");
        activity.wrote(false);
        let idle = makes_way().unwrap();
        assert_eq!(idle.0, Dispensable::Idle);
        let third = activity.begin(true);
        assert!(!activity.evict(idle, Instant::now()));
        drop(third);
        assert!(activity.evict(makes_way().unwrap(), Instant::now()));
        activity.evicted().await;
    }
}
