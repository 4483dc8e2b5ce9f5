//! Bytes in memory that are leased before they are read.
//!
//! Who is going to read something large asks a [`MemoryBudget`] first, in the name of whoever it is for: a tenant, a
//! peer. The [`Lease`] goes along with the bytes and gives them back when it is dropped. How much each may have says
//! [`Shares`]; who asks for more than that waits without having read anything, and what is given back goes to whoever
//! has least.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use hookmill_core::share::Shares;
use tokio::sync::oneshot;

/// A bounded number of bytes, shared among those that `Key` names.
#[derive(Debug)]
pub struct MemoryBudget<Key: Copy + Eq + Hash> {
    state: Arc<Mutex<State<Key>>>,
}

/// Bytes of a budget; dropping it gives them back.
#[derive(Debug)]
pub struct Lease<Key: Copy + Eq + Hash> {
    state: Arc<Mutex<State<Key>>>,
    key: Key,
    bytes: usize,
}

#[derive(Debug)]
struct State<Key: Copy + Eq + Hash> {
    shares: Shares<Key>,
    waiting: HashMap<Key, VecDeque<Waiting<Key>>>,
}

#[derive(Debug)]
struct Waiting<Key: Copy + Eq + Hash> {
    bytes: usize,
    grant: oneshot::Sender<Lease<Key>>,
}

impl<Key: Copy + Eq + Hash> MemoryBudget<Key> {
    /// A budget of which nothing is taken.
    #[must_use]
    pub fn new(shares: Shares<Key>) -> Self {
        Self { state: Arc::new(Mutex::new(State { shares, waiting: HashMap::new() })) }
    }

    /// Bytes that are leased now.
    #[must_use]
    pub fn used(&self) -> usize {
        lock(&self.state).shares.used()
    }

    /// Leases as much at once, or nothing. Nobody overtakes his own earlier requests.
    #[must_use]
    pub fn try_lease(&self, key: Key, bytes: usize) -> Option<Lease<Key>> {
        let mut state = lock(&self.state);
        let is_taken = !state.is_waited_for(key) && state.shares.try_take(key, bytes);
        is_taken.then(|| Lease { state: Arc::clone(&self.state), key, bytes })
    }

    /// Leases as much, and waits until it is there: set a time limit. Ask for no more than a newcomer's share, since
    /// nobody is promised more.
    pub async fn lease(&self, key: Key, bytes: usize) -> Lease<Key> {
        let granted = {
            let mut state = lock(&self.state);
            if !state.is_waited_for(key) && state.shares.try_take(key, bytes) {
                return Lease { state: Arc::clone(&self.state), key, bytes };
            }
            let (grant, granted) = oneshot::channel();
            state.waiting.entry(key).or_default().push_back(Waiting { bytes, grant });
            granted
        };
        granted.await.expect("a budget lives as long as those who wait for it")
    }
}

impl<Key: Copy + Eq + Hash> Lease<Key> {
    /// How much it is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back all but so much.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        give_back(&self.state, self.key, surplus);
    }
}

impl<Key: Copy + Eq + Hash> Drop for Lease<Key> {
    fn drop(&mut self) {
        give_back(&self.state, self.key, self.bytes);
    }
}

impl<Key: Copy + Eq + Hash> State<Key> {
    /// Whether somebody waits already in this name.
    fn is_waited_for(&mut self, key: Key) -> bool {
        let Some(waiting) = self.waiting.get_mut(&key) else { return false };
        while waiting.front().is_some_and(|first| first.grant.is_closed()) {
            waiting.pop_front();
        }
        if waiting.is_empty() {
            self.waiting.remove(&key);
        }
        self.waiting.contains_key(&key)
    }

    /// Takes for the next who waits, if there is one who can have what it waits for: of those, whoever has least.
    fn next_grant(&mut self) -> Option<(Key, Waiting<Key>)> {
        let keys: Vec<Key> = self.waiting.keys().copied().collect();
        let waiting = keys.into_iter().filter(|key| self.is_waited_for(*key)).collect::<Vec<_>>();
        let can_have = waiting.into_iter().filter(|key| {
            let first = self.waiting.get(key).and_then(VecDeque::front);
            first.is_some_and(|first| first.bytes <= self.shares.left_for(*key))
        });
        let key = can_have.min_by_key(|key| self.shares.used_by(*key))?;
        let next = self.waiting.get_mut(&key)?.pop_front()?;
        self.shares.take(key, next.bytes);
        Some((key, next))
    }
}

fn give_back<Key: Copy + Eq + Hash>(state: &Arc<Mutex<State<Key>>>, key: Key, bytes: usize) {
    if bytes == 0 {
        return;
    }
    let mut locked = lock(state);
    locked.shares.give_back(key, bytes);
    let mut grants = Vec::new();
    while !locked.waiting.is_empty() {
        let Some(next) = locked.next_grant() else { break };
        grants.push(next);
    }
    drop(locked);
    for (key, Waiting { bytes, grant }) in grants {
        // Who stopped waiting gives it back by dropping it.
        let _ = grant.send(Lease { state: Arc::clone(state), key, bytes });
    }
}

fn lock<Key: Copy + Eq + Hash>(state: &Mutex<State<Key>>) -> MutexGuard<'_, State<Key>> {
    // Nothing panics while it holds the lock.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> MemoryBudget<u8> {
        MemoryBudget::new(Shares::new(100, 20, 10))
    }

    #[tokio::test]
    async fn a_lease_is_given_back_when_it_is_dropped() {
        let budget = budget();
        let mut lease = budget.lease(1, 40).await;
        assert!(budget.try_lease(1, 1).is_none());
        lease.shrink_to(30);
        assert_eq!((lease.bytes(), budget.used()), (30, 30));
        drop(lease);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn who_has_least_gets_what_is_given_back_and_who_left_gets_nothing() {
        let budget = Arc::new(budget());
        let (first, _second, _third) =
            (budget.lease(1, 40).await, budget.lease(2, 20).await, budget.lease(3, 10).await);
        // Of 30 that are left, 20 are a reserve, of which nobody gets more than 10 in all.
        let ask = |key, bytes| {
            let budget = Arc::clone(&budget);
            tokio::spawn(async move { budget.lease(key, bytes).await })
        };
        let (left, heavy, light) = (ask(1, 5), ask(2, 10), ask(3, 10));
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        left.abort();
        assert!(left.await.is_err());
        assert!(!heavy.is_finished() && !light.is_finished());
        drop(first);
        assert_eq!((light.await.unwrap().bytes(), heavy.await.unwrap().bytes()), (10, 10));
        assert_eq!(budget.used(), 30);
    }

    #[tokio::test]
    async fn nobody_overtakes_his_own_earlier_request() {
        let budget = budget();
        let first = budget.lease(1, 35).await;
        let mut waiting = Box::pin(budget.lease(1, 10));
        assert!(std::future::Future::poll(waiting.as_mut(), &mut noop_context()).is_pending());
        assert!(budget.try_lease(1, 1).is_none());
        drop(first);
        assert_eq!(waiting.await.bytes(), 10);
        assert!(budget.try_lease(1, 1).is_some());
    }

    fn noop_context() -> std::task::Context<'static> {
        std::task::Context::from_waker(std::task::Waker::noop())
    }
}
